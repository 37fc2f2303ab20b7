#pragma once
// The node file (TOML) as plain values. Reading goes through the option table, so a name that the
// table does not know is an error with its line and the nearest known name.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/endpoint.h"
#include "base/error.h"
#include "base/ids.h"
#include "base/log.h"

namespace muster::admin {

struct Roles {
    bool master = false;
    bool frontend = false;
    bool backend = false;
};

struct NodeSettings {
    NodeName name;
    Roles roles;
    std::string cluster_type;
    std::string state_dir;
    std::size_t workers = 1;  ///< never 0
    std::string user;
    log::Level log_level = log::Level::Info;
    log::Format log_format = log::Format::Logfmt;
    std::chrono::seconds drain_time{};
};

struct ClusterSettings {
    std::string listen;
    std::string advertise;
    std::string source_address;
    std::vector<std::string> allow;
    std::string clear_listen;
    std::vector<std::string> clear_from;
    std::vector<std::string> masters;
    std::string user;
    std::string password_file;
    std::chrono::seconds update_interval{};
    std::chrono::seconds inactivity_timeout{};
    std::chrono::seconds absent_after{};
};

/// Another network that this node follows, as a relay or a mirror of it.
struct FollowSettings {
    std::string name;
    std::string host;
    std::uint16_t port = 0;
    std::string user;
    std::string password_file;
    std::string node_name;  ///< of this node there
    std::chrono::seconds inactivity_timeout{};
    std::chrono::seconds update_interval{};
    bool encryption = true;
    std::string mode;                  ///< relay, mirror
    std::string hand_to;               ///< home, master
    std::vector<std::string> domains;  ///< patterns (cluster/domain_pattern.h); empty: all
    bool default_for = false;

    /// HOST:PORT, an IPv6 address in brackets.
    [[nodiscard]] std::string address() const;
};

struct AdminSettings {
    std::string socket;
    std::string listen;
    bool tls = false;
};

struct ListenerSettings {
    std::string protocol;  ///< imap, pop3, sieve, smtp, submission
    std::string address;
    std::string tls;  ///< none, starttls, implicit
    std::string default_domain;
    std::vector<std::string> proxy_from;
};

struct CertificateFiles {
    std::string chain;
    std::string key;
    std::vector<std::string> names;
};

struct LimitSettings {
    std::size_t connections = 0;
    std::size_t connections_per_address = 0;
    std::chrono::seconds login_time{};
    std::size_t failures = 0;
    std::chrono::seconds failure_window{};
    std::size_t commands_before_login = 0;
    std::size_t line_bytes = 0;
    std::size_t literal_bytes = 0;
    std::chrono::seconds idle_imap{};
    std::chrono::seconds idle_pop3{};
    std::chrono::seconds idle_sieve{};
};

struct MailSettings {
    std::string host_name;
    std::string queue_dir;
    bool store = true;
    std::size_t message_bytes = 0;
    std::size_t memory_bytes = 0;
    std::size_t recipients = 0;
    std::size_t hops = 0;
    std::size_t errors = 0;
    std::size_t unknown_recipients = 0;
    std::chrono::seconds tarpit{};
    std::size_t account_recipients = 0;
    std::size_t client_connections = 0;
    std::size_t client_messages = 0;
    std::chrono::seconds idle{};
    std::chrono::seconds in_line_time{};
    std::chrono::seconds stale_after{};
    std::vector<std::string> xclient_from;
    std::vector<std::string> relay_from;
    bool client_names = true;
    std::string authserv_id;  ///< empty: host_name
    std::chrono::seconds message_time{};
    std::size_t reserve = 0;
    std::vector<std::string> smart_host;
    std::string smart_host_user;
    std::string smart_host_password_file;
    std::chrono::seconds retry_first{};
    std::chrono::seconds retry_longest{};
    std::chrono::seconds expire_after{};
    std::chrono::seconds delay_report_after{};
    std::size_t out_port = 25;
    std::vector<std::string> source_addresses;
    std::vector<std::string> dns_servers;
    std::string trust_anchor;
    std::string dkim_dir;
    std::string dkim_group;
    std::string socketmap;
    std::vector<std::string> socketmap_from;
};

struct UpstreamSettings {
    std::vector<std::string> source_addresses;
    std::size_t warm = 0;
    std::chrono::seconds connect_time{};
    std::chrono::seconds login_time{};
    std::chrono::seconds check_interval{};
    std::chrono::seconds check_retry{};
    std::size_t up_after = 0;
    std::size_t down_after = 0;
    std::size_t traffic_failures = 0;
    std::size_t traffic_clients = 0;
    std::chrono::seconds traffic_window{};
    std::string ca;
};

struct BackendSettings {
    ServerName server;
    std::string base_dir;
    std::string config;
    std::string dict_socket;
    std::string dict_socket_group;
    std::string mail_socket;
    std::string lookup_listen;
    std::string mail_out_listen;
    std::vector<std::string> mail_out_to;
    std::string auth_socket;
    std::string mail_root;
    std::uint32_t mail_uid = 0;
    std::uint32_t mail_gid = 0;
};

/// Everything a node file says, with defaults filled in: paths derived from state_dir are set.
struct NodeConfig {
    NodeSettings node;
    ClusterSettings cluster;
    AdminSettings admin;
    std::vector<ListenerSettings> listeners;
    std::vector<CertificateFiles> certificates;
    std::vector<FollowSettings> follows;  ///< in order of precedence
    std::string tls_minimum;
    LimitSettings limits;
    MailSettings mail;
    UpstreamSettings upstream;
    BackendSettings backend;
    /// Every option as text, defaults included: "limits.line" → "8192". All of a repeated section
    /// stand together under its name.
    std::map<std::string, std::string> values;
};

/// `file` names the text in errors ("FILE:LINE: …").
Result<NodeConfig> parse_node_file(std::string_view text, std::string_view file);
Result<NodeConfig> read_node_file(const std::string& path);

/// Whether nobody outside a site can have this address: loopback, 10/8, 172.16/12, 192.168/16,
/// 169.254/16, fc00::/7, fe80::/10.
bool is_private(const Network& network);
bool is_private_address(const IpAddress& address);

}  // namespace muster::admin
