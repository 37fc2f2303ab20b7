#include "admin/node_file.h"

#include <toml++/toml.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "admin/options.h"
#include "base/endpoint.h"
#include "cluster/domain_pattern.h"

namespace muster::admin {
namespace {

constexpr std::size_t kLargestFile = 1 << 20;

std::unexpected<Error> wrong(std::string_view file, const toml::source_region& where,
                             std::string text) {
    return fail(ErrorKind::Syntax, std::string(file) + ":" + std::to_string(where.begin.line) +
                                       ": " + std::move(text));
}

std::string unknown(std::string_view what, std::string_view name,
                    std::optional<std::string_view> nearest) {
    std::string text = "unknown " + std::string(what) + " \"" + std::string(name) + "\"";
    if (nearest) text += ", did you mean \"" + std::string(*nearest) + "\"?";
    return text;
}

bool fits_text(const Option& option, const toml::node& value) {
    return value.is_string() && allows(option, std::string_view(value.as_string()->get()));
}

bool fits(const Option& option, const toml::node& value) {
    switch (option.type) {
        case OptionType::Path:
        case OptionType::Text: return fits_text(option, value);
        case OptionType::Switch: return value.is_boolean();
        case OptionType::Number:
            return value.is_integer() && allows(option, value.as_integer()->get());
        case OptionType::TextList: break;
    }
    if (!value.is_array()) return false;
    return std::ranges::all_of(
        *value.as_array(), [&option](const toml::node& item) { return fits_text(option, item); });
}

std::string expectation(const Option& option) {
    std::string text =
        "\"" + std::string(option.name) + "\" wants a " + std::string(name(option.type));
    if (!option.allowed.empty()) text += " (" + std::string(option.allowed) + ")";
    return text;
}

Result<> check_section(const Section& section, const toml::table& table, std::string_view file) {
    for (const auto& [key, value] : table) {
        const Option* option = find_option(section.name, key.str());
        if (option == nullptr) {
            return wrong(file, key.source(),
                         unknown("option", key.str(), nearest_option(section.name, key.str())) +
                             " (in [" + std::string(section.name) + "])");
        }
        if (!fits(*option, value)) return wrong(file, key.source(), expectation(*option));
    }
    return {};
}

Result<> check_repeated(const Section& section, const toml::node& node, std::string_view file) {
    const toml::array* array = node.as_array();
    if (array == nullptr || !array->is_homogeneous<toml::table>()) {
        return wrong(file, node.source(), "write [[" + std::string(section.name) + "]]");
    }
    for (const toml::node& item : *array) {
        if (auto checked = check_section(section, *item.as_table(), file); !checked) return checked;
    }
    return {};
}

Result<> check_entry(const toml::key& key, const toml::node& value, std::string_view file) {
    const Section* section = find_section(key.str());
    if (section == nullptr) {
        return wrong(file, key.source(), unknown("section", key.str(), nearest_section(key.str())));
    }
    if (section->repeated) return check_repeated(*section, value, file);
    if (value.is_table()) return check_section(*section, *value.as_table(), file);
    return wrong(file, key.source(), "write [" + std::string(section->name) + "]");
}

Result<> check_file(const toml::table& root, std::string_view file) {
    for (const auto& [key, value] : root) {
        if (auto checked = check_entry(key, value, file); !checked) return checked;
    }
    return {};
}

/// One section's values: from the file, else the table's defaults. Only for a checked file; asking
/// for an option that the table does not have is a bug.
class Values {
public:
    Values(std::string_view section, const toml::table* table) : section_(section), table_(table) {}

    [[nodiscard]] std::string text(std::string_view option) const {
        return *get(option)->value<std::string>();
    }
    [[nodiscard]] bool flag(std::string_view option) const { return *get(option)->value<bool>(); }
    [[nodiscard]] std::size_t number(std::string_view option) const {
        return static_cast<std::size_t>(*get(option)->value<std::int64_t>());
    }
    [[nodiscard]] std::chrono::seconds seconds(std::string_view option) const {
        return std::chrono::seconds(number(option));
    }
    [[nodiscard]] std::vector<std::string> texts(std::string_view option) const {
        std::vector<std::string> items;
        const Held held = get(option);
        for (const toml::node& item : *held->as_array()) {
            items.push_back(*item.value<std::string>());
        }
        return items;
    }

private:
    struct Held {
        toml::table owned;
        const toml::node* node = nullptr;
        const toml::node* operator->() const { return node; }
    };
    [[nodiscard]] Held get(std::string_view option) const {
        const Option* known = find_option(section_, option);
        MUSTER_CHECK(known != nullptr);
        if (table_ != nullptr) {
            if (const toml::node* node = table_->get(option)) return {{}, node};
        }
        Held held{toml::parse("v = " + std::string(known->fallback)), nullptr};
        held.node = held.owned.get("v");
        return held;
    }

    std::string_view section_;
    const toml::table* table_;
};

Values single(const toml::table& root, std::string_view section) {
    const toml::node* node = root.get(section);
    return {section, node == nullptr ? nullptr : node->as_table()};
}

template <typename Fill>
void for_each_repeated(const toml::table& root, std::string_view section, Fill fill) {
    const toml::node* node = root.get(section);
    if (node == nullptr) return;
    for (const toml::node& item : *node->as_array()) fill(Values(section, item.as_table()));
}

Roles roles_from(const std::vector<std::string>& names) {
    Roles roles;
    for (const std::string& name : names) {
        const bool both = name == "symmetric";
        roles.master |= name == "master";
        roles.frontend |= both || name == "frontend";
        roles.backend |= both || name == "backend";
    }
    return roles;
}

NodeSettings node_from(const Values& values) {
    NodeSettings node;
    node.name = NodeName(values.text("name"));
    node.roles = roles_from(values.texts("roles"));
    node.cluster_type = values.text("cluster_type");
    node.state_dir = values.text("state_dir");
    node.workers = values.number("workers");
    if (node.workers == 0) node.workers = std::max(1U, std::thread::hardware_concurrency());
    node.user = values.text("user");
    node.log_level = log::level_from(values.text("log_level")).value_or(log::Level::Info);
    node.log_format = values.text("log_format") == "json" ? log::Format::Json : log::Format::Logfmt;
    node.drain_time = values.seconds("drain_time");
    return node;
}

std::string or_else(std::string text, std::string fallback) {
    return text.empty() ? std::move(fallback) : std::move(text);
}

ClusterSettings cluster_from(const Values& values) {
    ClusterSettings cluster;
    cluster.listen = values.text("listen");
    cluster.advertise = or_else(values.text("advertise"), cluster.listen);
    cluster.source_address = values.text("source_address");
    cluster.allow = values.texts("allow");
    cluster.clear_listen = values.text("clear_listen");
    cluster.clear_from = values.texts("clear_from");
    cluster.masters = values.texts("masters");
    cluster.user = values.text("user");
    cluster.password_file = values.text("password_file");
    cluster.update_interval = values.seconds("update_interval");
    cluster.inactivity_timeout = values.seconds("inactivity_timeout");
    cluster.absent_after = values.seconds("absent_after");
    return cluster;
}

FollowSettings follow_from(const Values& values, const NodeSettings& node) {
    FollowSettings follow;
    follow.name = values.text("name");
    follow.host = values.text("host");
    follow.port = static_cast<std::uint16_t>(values.number("port"));
    follow.user = values.text("user");
    follow.password_file = values.text("password_file");
    follow.node_name = or_else(values.text("node_name"), node.name.text);
    follow.inactivity_timeout = values.seconds("inactivity_timeout");
    follow.update_interval = values.seconds("update_interval");
    follow.encryption = values.flag("encryption");
    follow.mode = values.text("mode");
    follow.hand_to = values.text("hand_to");
    follow.domains = values.texts("domains");
    follow.default_for = values.flag("default_for");
    return follow;
}

AdminSettings admin_from(const Values& values, const NodeSettings& node) {
    return {or_else(values.text("socket"), node.state_dir + "/admin.sock"), values.text("listen"),
            values.flag("tls")};
}

ListenerSettings listener_from(const Values& values) {
    return {values.text("protocol"), values.text("address"), values.text("tls"),
            values.text("default_domain"), values.texts("proxy_from")};
}

LimitSettings limits_from(const Values& values) {
    LimitSettings limits;
    limits.connections = values.number("connections");
    limits.connections_per_address = values.number("connections_per_address");
    limits.login_time = values.seconds("login_time");
    limits.failures = values.number("failures");
    limits.failure_window = values.seconds("failure_window");
    limits.commands_before_login = values.number("commands_before_login");
    limits.line_bytes = values.number("line");
    limits.literal_bytes = values.number("literal");
    limits.idle_imap = values.seconds("idle_imap");
    limits.idle_pop3 = values.seconds("idle_pop3");
    limits.idle_sieve = values.seconds("idle_sieve");
    return limits;
}

std::string system_host_name() {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
    return name.data();
}

MailSettings mail_from(const Values& values, const NodeSettings& node) {
    MailSettings mail;
    mail.host_name = or_else(values.text("host_name"), system_host_name());
    mail.queue_dir = or_else(values.text("queue_dir"), node.state_dir + "/queue");
    mail.store = values.flag("store");
    mail.message_bytes = values.number("message_bytes");
    mail.memory_bytes = values.number("memory_bytes");
    mail.recipients = values.number("recipients");
    mail.hops = values.number("hops");
    mail.errors = values.number("errors");
    mail.unknown_recipients = values.number("unknown_recipients");
    mail.tarpit = values.seconds("tarpit");
    mail.account_recipients = values.number("account_recipients");
    mail.client_connections = values.number("client_connections");
    mail.client_messages = values.number("client_messages");
    mail.idle = values.seconds("idle");
    mail.in_line_time = values.seconds("in_line_time");
    mail.stale_after = values.seconds("stale_after");
    mail.xclient_from = values.texts("xclient_from");
    mail.relay_from = values.texts("relay_from");
    mail.authserv_id = values.text("authserv_id");
    mail.message_time = values.seconds("message_time");
    mail.client_names = values.flag("client_names");
    mail.reserve = values.number("reserve");
    mail.smart_host = values.texts("smart_host");
    mail.smart_host_user = values.text("smart_host_user");
    mail.smart_host_password_file = values.text("smart_host_password_file");
    mail.retry_first = values.seconds("retry_first");
    mail.retry_longest = values.seconds("retry_longest");
    mail.expire_after = values.seconds("expire_after");
    mail.delay_report_after = values.seconds("delay_report_after");
    mail.out_port = values.number("out_port");
    mail.source_addresses = values.texts("source_addresses");
    mail.dns_servers = values.texts("dns_servers");
    mail.trust_anchor = values.text("trust_anchor");
    mail.dkim_dir = values.text("dkim_dir");
    mail.dkim_group = values.text("dkim_group");
    mail.socketmap = values.text("socketmap");
    mail.socketmap_from = values.texts("socketmap_from");
    return mail;
}

UpstreamSettings upstream_from(const Values& values) {
    UpstreamSettings upstream;
    upstream.source_addresses = values.texts("source_addresses");
    upstream.warm = values.number("warm");
    upstream.connect_time = values.seconds("connect_time");
    upstream.login_time = values.seconds("login_time");
    upstream.check_interval = values.seconds("check_interval");
    upstream.check_retry = values.seconds("check_retry");
    upstream.up_after = values.number("up_after");
    upstream.down_after = values.number("down_after");
    upstream.traffic_failures = values.number("traffic_failures");
    upstream.traffic_clients = values.number("traffic_clients");
    upstream.traffic_window = values.seconds("traffic_window");
    upstream.ca = values.text("ca");
    return upstream;
}

BackendSettings backend_from(const Values& values, const NodeSettings& node) {
    BackendSettings backend;
    backend.server = ServerName(or_else(values.text("server"), node.name.text));
    backend.base_dir = values.text("base_dir");
    backend.config = values.text("config");
    backend.dict_socket = or_else(values.text("dict_socket"), backend.base_dir + "/muster-auth");
    backend.mail_socket = or_else(values.text("mail_socket"), backend.base_dir + "/muster-mail");
    backend.lookup_listen = values.text("lookup_listen");
    backend.mail_out_listen = values.text("mail_out_listen");
    backend.mail_out_to = values.texts("mail_out_to");
    backend.dict_socket_group = values.text("dict_socket_group");
    backend.auth_socket = or_else(values.text("auth_socket"), backend.base_dir + "/auth-muster");
    backend.mail_root = values.text("mail_root");
    backend.mail_uid = static_cast<std::uint32_t>(values.number("mail_uid"));
    backend.mail_gid = static_cast<std::uint32_t>(values.number("mail_gid"));
    if (backend.mail_uid == 0) backend.mail_uid = ::getuid();
    if (backend.mail_gid == 0) backend.mail_gid = ::getgid();
    return backend;
}

std::string value_text(const Values& values, const Option& option) {
    switch (option.type) {
        case OptionType::Path:
        case OptionType::Text: return values.text(option.name);
        case OptionType::Switch: return values.flag(option.name) ? "true" : "false";
        case OptionType::Number: return std::to_string(values.number(option.name));
        case OptionType::TextList: break;
    }
    std::string text;
    for (const std::string& item : values.texts(option.name)) text += item + "\n";
    return text;
}

std::map<std::string, std::string> all_values(const toml::table& root) {
    std::map<std::string, std::string> all;
    for (const Option& option : options()) {
        const std::string section(option.section);
        if (!find_section(section)->repeated) {
            all[section + "." + std::string(option.name)] =
                value_text(single(root, section), option);
            continue;
        }
        std::string& text = all[section];
        for_each_repeated(root, section, [&](const Values& values) {
            text += std::string(option.name) + "=" + value_text(values, option) + "\n";
        });
    }
    return all;
}

NodeConfig config_from(const toml::table& root) {
    NodeConfig config;
    config.node = node_from(single(root, "node"));
    config.cluster = cluster_from(single(root, "cluster"));
    config.admin = admin_from(single(root, "admin"), config.node);
    for_each_repeated(root, "listener", [&config](const Values& values) {
        config.listeners.push_back(listener_from(values));
    });
    for_each_repeated(root, "certificate", [&config](const Values& values) {
        config.certificates.push_back(
            {values.text("chain"), values.text("key"), values.texts("names")});
    });
    for_each_repeated(root, "follow", [&config](const Values& values) {
        config.follows.push_back(follow_from(values, config.node));
    });
    config.tls_minimum = single(root, "tls").text("minimum");
    config.limits = limits_from(single(root, "limits"));
    config.mail = mail_from(single(root, "mail"), config.node);
    config.upstream = upstream_from(single(root, "upstream"));
    config.backend = backend_from(single(root, "backend"), config.node);
    config.values = all_values(root);
    return config;
}

bool is_node_name(std::string_view name) {
    // Networks have folders of their names.
    if (name.empty() || name.size() > 63 || name.front() == '.') return false;
    return std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    });
}

std::string follow_problem(const NodeConfig& config) {
    std::set<std::string> names;
    std::set<std::string> addresses;
    for (const FollowSettings& follow : config.follows) {
        if (!is_node_name(follow.name)) {
            return "a [[follow]] needs a name: lower-case letters, digits, '-' and '.'";
        }
        const std::string who = "[[follow]] " + follow.name;
        if (!names.insert(follow.name).second) return who + " stands twice";
        if (follow.host.empty()) return who + " has no host";
        if (follow.host.contains('/') || follow.host.contains(' ') ||
            (follow.host.contains(':') && !IpAddress::parse(follow.host))) {
            return who + ": host is a name or an address, and port an option of its own";
        }
        if (!addresses.insert(follow.address()).second) {
            return who + " follows " + follow.address() + ", which is followed already";
        }
        if (!is_node_name(follow.node_name)) return who + ": node_name is no name of a node";
        if (follow.user.empty() != follow.password_file.empty()) {
            return who + ": user and password_file belong together";
        }
        for (const std::string& text : follow.domains) {
            if (!cluster::parse_domain_pattern(text)) {
                return who + ": domains: \"" + text + "\" is no domain and no *.DOMAIN";
            }
        }
        const auto address = IpAddress::parse(follow.host);
        const auto network = Network::parse(follow.host);
        if (!follow.encryption && address && network && !is_private(*network)) {
            return who + ": encryption = false is for private addresses only";
        }
    }
    return {};
}

std::string cluster_problem(const ClusterSettings& cluster) {
    if (!cluster.password_file.empty() && (cluster.user.empty() || cluster.masters.empty())) {
        return "[cluster] password_file needs user and masters";
    }
    if (cluster.clear_listen.empty()) return {};
    if (cluster.listen.empty()) {
        return "[cluster] clear_listen is a second listener: listen is needed, too";
    }
    if (cluster.clear_from.empty()) return "[cluster] clear_listen needs clear_from";
    for (const std::string& text : cluster.clear_from) {
        const auto network = Network::parse(text);
        if (!network) return "[cluster] clear_from: " + network.error().detail;
        if (!is_private(*network)) {
            return "[cluster] clear_from = " + text +
                   " is no private network: what goes over that listener can be read on the way";
        }
    }
    return {};
}

/// What is wrong across options; empty when nothing is.
std::string contradiction(const NodeConfig& config) {
    const Roles& roles = config.node.roles;
    if (!is_node_name(config.node.name.text)) {
        return "[node] name is needed: lower-case letters, digits, '-' and '.'";
    }
    if (!roles.master && !roles.frontend && !roles.backend) return "[node] roles is empty";
    if (!config.listeners.empty() && !roles.frontend) {
        return "[[listener]] needs the role frontend";
    }
    if (!config.mail.socketmap.empty() && !roles.frontend) {
        return "[mail] socketmap needs the role frontend";
    }
    for (const ListenerSettings& listener : config.listeners) {
        if (listener.address.empty()) return "a [[listener]] has no address";
    }
    if (const std::string& out = config.backend.mail_out_listen; !out.empty()) {
        const auto endpoint = Endpoint::parse(out);
        if (!endpoint || !endpoint->address.is_loopback()) {
            return "[backend] mail_out_listen must be ADDRESS:PORT on loopback: whoever connects "
                   "may send to anywhere";
        }
    }
    for (const CertificateFiles& certificate : config.certificates) {
        if (certificate.chain.empty() || certificate.key.empty()) {
            return "a [[certificate]] needs chain and key";
        }
    }
    if (auto problem = follow_problem(config); !problem.empty()) return problem;
    return cluster_problem(config.cluster);
}

}  // namespace

std::string FollowSettings::address() const {
    const bool brackets = host.contains(':');
    return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

bool is_private(const Network& network) {
    static constexpr std::array<std::string_view, 8> kPrivate{
        "127.0.0.0/8",    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
        "169.254.0.0/16", "::1/128",    "fc00::/7",      "fe80::/10"};
    return std::ranges::any_of(kPrivate, [&network](std::string_view text) {
        return Network::parse(text)->contains(network);
    });
}

bool is_private_address(const IpAddress& address) {
    const auto network = Network::parse(address.text());
    return network && is_private(*network);
}

Result<NodeConfig> parse_node_file(std::string_view text, std::string_view file) {
    try {
        const toml::table root = toml::parse(text, file);
        if (auto known = check_file(root, file); !known) return std::unexpected(known.error());
        NodeConfig config = config_from(root);
        const std::string problem = contradiction(config);
        if (!problem.empty()) return fail(ErrorKind::Syntax, std::string(file) + ": " + problem);
        return config;
    } catch (const toml::parse_error& error) {
        return wrong(file, error.source(), std::string(error.description()));
    }
}

Result<NodeConfig> read_node_file(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream) return fail(ErrorKind::Io, path + ": cannot be read");
    std::ostringstream content;
    content << stream.rdbuf();
    if (content.view().size() > kLargestFile) return fail(ErrorKind::Limit, path + ": too large");
    return parse_node_file(content.view(), path);
}

}  // namespace muster::admin
