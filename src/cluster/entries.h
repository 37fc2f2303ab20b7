#pragma once
// The objects of a cluster as values. Each stands in the state as one JSON object under one key
// (ARCHITECTURE.md, "State"); entry_codec.h turns one into the other. The name of an object is
// in its key and not in the JSON.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/endpoint.h"
#include "base/ids.h"
#include "base/log.h"
#include "cluster/address.h"
#include "cluster/mail_host.h"

namespace muster::cluster {

/// Fields of an object that this version does not know, as the text of a JSON object ("" for
/// none). They are written back unchanged, so that an older node does not strip what a newer one
/// has stored.
using UnknownFields = std::string;

/// What servers offer and health is kept for.
enum class Service : std::uint8_t { Imap, Pop3, Sieve, Lmtp, Submission, Smtp };
inline constexpr std::size_t kServiceCount = 6;
inline constexpr std::array<Service, kServiceCount> kServices{Service::Imap,       Service::Pop3,
                                                              Service::Sieve,      Service::Lmtp,
                                                              Service::Submission, Service::Smtp};
std::string_view name(Service service);
std::optional<Service> service_from(std::string_view text);

enum class TlsMode : std::uint8_t { None, StartTls, Implicit };
enum class ServerKind : std::uint8_t { Dovecot, Foreign };
/// What the administrator wants: all, no new sessions, no sessions at all.
enum class AdminState : std::uint8_t { Up, Drain, Down };
/// How the client's address and the session id reach the server.
enum class Introduce : std::uint8_t { Xclient, Proxy, None };
/// Whose credentials go to the server: the client's own, those of a static master user (foreign
/// servers), or a one-use token of the account's home.
enum class LoginMode : std::uint8_t { Own, Master, Token };
/// What a node may see (state/scope.h), the least first.
enum class NodeScope : std::uint8_t { Mirror, Relay, Frontend, Backend };
/// Shared: any node serves it; Local: one node's own; Remote: its mail is passed on, nobody logs
/// in.
enum class DomainKind : std::uint8_t { Shared, Local, Remote };
/// When mail for a domain is answered for: once it is with its servers, else once it is in the
/// queue; once it is in the queue; once it is with its server, or not at all.
enum class MailMode : std::uint8_t { InLine, Queue, InLineOnly };
/// TLS towards other sites' servers.
enum class OutgoingTls : std::uint8_t {
    Automatic,  ///< DANE, else MTA-STS, else opportunistic
    None,
    Opportunistic,
    Encrypted,  ///< required, whoever it is
    Verified,   ///< required, with a certificate of a known authority for the host's name
};

std::string_view name(TlsMode mode);
std::string_view name(ServerKind kind);
std::string_view name(AdminState state);
std::string_view name(Introduce introduce);
std::string_view name(LoginMode login);
std::string_view name(NodeScope scope);
std::string_view name(DomainKind kind);
std::string_view name(MailMode mode);
std::string_view name(OutgoingTls tls);

/// One service of one server, as front ends reach it.
struct ServiceSettings {
    std::uint16_t port = 0;
    TlsMode tls = TlsMode::StartTls;
    /// Warm connections kept by each front end; empty: as its own file says.
    std::optional<unsigned> cache{};
    log::Level log = log::Level::Info;
    std::vector<std::string> capabilities{};  ///< announced before login; empty: the built-in list
    UnknownFields unknown{};

    friend bool operator==(const ServiceSettings&, const ServiceSettings&) = default;
};

struct Server {
    ServerName name;
    ServerKind kind = ServerKind::Dovecot;
    NodeName node;                  ///< the node beside it; dovecot only
    std::string host;               ///< IP address or host name
    std::vector<IpAddress> source;  ///< connect from these in turn; empty: the system chooses
    AdminState admin = AdminState::Up;
    std::array<std::optional<ServiceSettings>, kServiceCount> services;
    Introduce introduce = Introduce::Xclient;
    LoginMode login = LoginMode::Own;
    std::string tls_name;   ///< name its certificate must bear; empty: `host`
    std::string ca;         ///< PEM certificates to trust; empty: the system's
    unsigned weight = 100;  ///< share of new accounts; 0: none
    UnknownFields unknown;
    UnknownFields unknown_services;
    /// PEM of its network's authority, trusted besides what `ca` says; not stored.
    std::string authority{};

    [[nodiscard]] const ServiceSettings* service(Service which) const {
        const auto& found = services[static_cast<std::size_t>(which)];
        return found ? &*found : nullptr;
    }
    friend bool operator==(const Server&, const Server&) = default;
};

/// When mail for a remote domain is tried again and given up, in seconds; what is not given is as
/// the node's file says (mail.retry_first …).
struct RetryOptions {
    std::optional<std::uint32_t> first{};
    std::optional<std::uint32_t> longest{};
    std::optional<std::uint32_t> expire_after{};
    std::optional<std::uint32_t> delay_report_after{};  ///< 0: never
    UnknownFields unknown{};

    friend bool operator==(const RetryOptions&, const RetryOptions&) = default;
};

/// How much mail a node sends to a remote domain; 0: no limit but the node's own.
struct DeliveryLimits {
    std::uint32_t connections = 0;  ///< at a time, to all its hosts together
    std::uint32_t messages = 0;     ///< a minute
    UnknownFields unknown{};

    friend bool operator==(const DeliveryLimits&, const DeliveryLimits&) = default;
};

struct Domain {
    DomainName name;
    DomainKind kind = DomainKind::Shared;
    NodeName node;                      ///< the one node that has it; local domains only
    std::vector<ServerName> servers;    ///< where its accounts live; new ones are placed by weight
    ServerName unknown_server;          ///< unknown names are handed to it; empty: the first server
    std::vector<IpAddress> addresses;   ///< local addresses that make it the default domain
    std::vector<DomainName> tls_names;  ///< TLS server names that do so
    CasePolicy case_policy = CasePolicy::Fold;
    MailMode mail = MailMode::InLine;
    std::string catch_all;        ///< address that gets mail for unknown ones; empty: refused
    std::string detail = "+";     ///< begins the detail of a sub-address (RFC 5233); empty: none
    std::vector<MailHost> route;  ///< of a remote domain, in order; empty: its MX
    OutgoingTls tls = OutgoingTls::Automatic;  ///< towards a remote domain
    RetryOptions retry;                        ///< of a remote domain, as what follows
    DeliveryLimits limits;
    std::uint64_t message_bytes = 0;   ///< largest message taken for it; 0: no limit of its own
    std::vector<std::string> filters;  ///< names, in order; kept for filters that are to come
    /// With which its accounts' mail goes to the world, where a node has such an address; else, and
    /// when empty, as the node's file says.
    std::vector<IpAddress> source;
    std::string helo;
    UnknownFields unknown;
    UnknownFields unknown_default_for;
    /// Whose it is, of the directories that this node reads (directory_source.h); not stored.
    std::size_t directory = 0;

    friend bool operator==(const Domain&, const Domain&) = default;
};

struct Account {
    AccountAddress address;
    AccountId id;
    ServerName home;
    bool disabled = false;
    std::uint64_t quota = 0;  ///< bytes; 0: no limit
    std::uint64_t epoch = 0;  ///< grows when the mailbox starts anew; part of the storage path
    UnknownFields unknown;

    friend bool operator==(const Account&, const Account&) = default;
};

struct Alias {
    AccountAddress address;
    std::vector<AccountAddress> to;  ///< one address of an account: logins by the alias work, too
    UnknownFields unknown;

    friend bool operator==(const Alias&, const Alias&) = default;
};

struct Node {
    NodeName name;
    NodeScope scope = NodeScope::Frontend;
    bool master = false;            ///< it leads: it writes the state
    bool eligible = false;          ///< it may be promoted, and others may follow it
    std::string cluster;            ///< "HOST:PORT" of its cluster listener
    std::string pin;                ///< fingerprint of its key
    std::vector<std::string> smtp;  ///< "HOST:PORT" of its SMTP listeners, as it said itself
    AdminState admin = AdminState::Up;
    bool revoked = false;
    bool credentials = false;  ///< of a mirror: it gets those for delivery (DeliveryCredential)
    UnknownFields unknown;

    friend bool operator==(const Node&, const Node&) = default;
};

struct Certificate {
    std::string name;
    std::vector<std::string> names;  ///< host names it is shown for; may start with "*."
    std::string chain;               ///< PEM
    std::string key;                 ///< PEM, sealed
    UnknownFields unknown;

    friend bool operator==(const Certificate&, const Certificate&) = default;
};

/// A foreign server's master user.
struct Credential {
    ServerName server;
    std::string user;
    std::string password;
    UnknownFields unknown;

    friend bool operator==(const Credential&, const Credential&) = default;
};

/// `delivery/DOMAIN`: the login at the hosts of a remote domain's route.
struct DeliveryCredential {
    DomainName domain;
    std::string user;
    std::string password;  ///< sealed
    UnknownFields unknown;
    std::size_t directory = 0;  ///< as Domain::directory: whose seal it is; not stored

    friend bool operator==(const DeliveryCredential&, const DeliveryCredential&) = default;
};

/// A cluster-wide setting; `value` is JSON text of any type.
struct Setting {
    std::string name;
    std::string value;
    UnknownFields unknown;

    friend bool operator==(const Setting&, const Setting&) = default;
};

/// The password keys of an account, `{SCHEME}…` each; any of them lets its owner in.
struct PasswordKeys {
    AccountId id;
    std::vector<std::string> keys;
    UnknownFields unknown;

    friend bool operator==(const PasswordKeys&, const PasswordKeys&) = default;
};

struct Administrator {
    std::string name;
    std::vector<std::string> keys;
    bool read_only = false;
    UnknownFields unknown;

    friend bool operator==(const Administrator&, const Administrator&) = default;
};

}  // namespace muster::cluster
