#include "admin/check.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "admin/alarms.h"
#include "admin/files.h"
#include "admin/front_end_settings.h"
#include "admin/mail_settings.h"
#include "admin/node_identity.h"
#include "admin/password_file.h"
#include "admin/system_user.h"
#include "cluster/credential_seal.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "net/listener.h"
#include "net/pki.h"
#include "state/replica.h"
#include "state/sqlite_store.h"

namespace muster::admin {
namespace {

constexpr std::size_t kFilesBeside = 200;  // sockets, state, logs
constexpr std::size_t kLongestSocket = 107;
constexpr std::size_t kShortPassword = 16;
constexpr std::size_t kMostEntries = 10'000;  // servers, credentials: far above what there can be

class Findings {
public:
    void wrong(std::string text) { list_.push_back({true, std::move(text)}); }
    void warn(std::string text) { list_.push_back({false, std::move(text)}); }
    std::vector<Finding> take() { return std::move(list_); }

private:
    std::vector<Finding> list_;
};

void check_endpoint(Findings& findings, const std::string& option, const std::string& text,
                    bool running) {
    const auto endpoint = Endpoint::parse(text);
    if (!endpoint) return findings.wrong(option + ": " + endpoint.error().detail);
    if (running) return;
    const auto fd = net::listen_tcp(*endpoint);
    if (!fd) return findings.wrong(option + ": " + fd.error().detail);
    ::close(*fd);
}

void check_networks(Findings& findings, const std::string& option,
                    const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
        const auto network = Network::parse(text);
        if (!network) findings.wrong(option + ": " + network.error().detail);
    }
}

/// Whoever reads a key can pose as the host.
void check_key_file(Findings& findings, const std::string& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0 || (status.st_mode & 0007) == 0) return;
    findings.warn("certificate.key: everybody on this machine may read " + path);
}

void check_certificates(Findings& findings, const NodeConfig& config) {
    bool tls = false;
    for (const ListenerSettings& listener : config.listeners) tls |= listener.tls != "none";
    if (tls && config.certificates.empty()) {
        findings.warn("no [[certificate]]: TLS works only with certificates from the state");
    }
    for (const CertificateFiles& files : config.certificates) {
        const auto chain = read_file(files.chain);
        const auto key = read_file(files.key);
        if (!chain) findings.wrong("certificate: " + chain.error().detail);
        if (!key) findings.wrong("certificate: " + key.error().detail);
        check_key_file(findings, files.key);
        if (!chain || !key) continue;
        if (auto fine = net::belong_together(*chain, *key); !fine) {
            findings.wrong("certificate " + files.chain + ": " + fine.error().detail);
        }
        const auto now = std::chrono::system_clock::now();
        for (const Alarm& alarm : certificate_alarms({{files.chain, *chain}}, now)) {
            findings.warn("certificate " + alarm.about + " " + alarm.text);
        }
    }
}

void check_listeners(Findings& findings, const NodeConfig& config, bool running) {
    for (const ListenerSettings& listener : config.listeners) {
        check_endpoint(findings, "listener.address", listener.address, running);
        check_networks(findings, "listener.proxy_from", listener.proxy_from);
        if (listener.tls == "none") {
            findings.warn("listener " + listener.address + " takes passwords in clear text");
        }
    }
    if (!config.mail.socketmap.empty()) {
        check_endpoint(findings, "mail.socketmap", config.mail.socketmap, running);
        if (const auto maps = map_settings(config); !maps) findings.wrong(maps.error().detail);
    }
    if (config.node.roles.frontend && config.listeners.empty()) {
        findings.warn("the role frontend without any [[listener]]");
    }
}

void check_admin(Findings& findings, const NodeConfig& config, bool running) {
    if (config.admin.socket.size() > kLongestSocket) {
        findings.wrong("admin.socket: the path of a unix socket has at most 107 bytes");
    }
    if (config.admin.listen.empty()) return;
    check_endpoint(findings, "admin.listen", config.admin.listen, running);
    const auto endpoint = Endpoint::parse(config.admin.listen);
    if (endpoint && !config.admin.tls && !endpoint->address.is_loopback()) {
        findings.warn("admin.listen without TLS: passwords of administrators go in clear text");
    }
}

void check_files_limit(Findings& findings, const NodeConfig& config) {
    if (!config.node.roles.frontend) return;
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const std::size_t needed = 2 * config.limits.connections + kFilesBeside;
    if (limit.rlim_max < needed) {
        findings.warn("limits.connections = " + std::to_string(config.limits.connections) +
                      " needs " + std::to_string(needed) + " open files, the limit is " +
                      std::to_string(limit.rlim_max));
    }
}

void check_password_file(Findings& findings, const std::string& option, const std::string& path) {
    const auto password = read_password_file(path);
    if (!password) findings.wrong(option + ": " + password.error().detail);
}

void check_used_password(Findings& findings, const std::string& option, const std::string& path) {
    if (path.empty() || !exists(path)) return;
    findings.warn(option + ": " + path +
                  " still holds a password, and the join was made: remove it "
                  "(at its next start the node does, if nobody else could read it)");
}

void check_state(Findings& findings, const NodeConfig& config) {
    const std::string& folder = config.node.state_dir;
    // It joins when it starts.
    if (!config.cluster.password_file.empty() && !has_identity(folder)) {
        return check_password_file(findings, "cluster.password_file", config.cluster.password_file);
    }
    check_used_password(findings, "cluster.password_file", config.cluster.password_file);
    if (!exists(folder))
        return findings.wrong(folder + " is not there: run muster cluster init or join");
    const auto identity = load_identity(folder);
    if (!identity) return findings.wrong(identity.error().detail);
    const auto alarms = certificate_alarms({{"cluster authority", identity->authority}},
                                           std::chrono::system_clock::now());
    for (const Alarm& alarm : alarms) findings.warn(alarm.about + " " + alarm.text);
    if (!config.node.roles.master && config.cluster.masters.empty() && identity->masters.empty()) {
        findings.wrong("no master is known to follow: set cluster.masters");
    }
}

void check_user(Findings& findings, const NodeConfig& config) {
    const auto user = user_to_become(config.node);
    if (!user) return findings.wrong(user.error().detail);
    if (!*user || !exists(config.node.state_dir)) return;
    if (auto fine = check_owner(**user, config.node.state_dir); !fine) {
        findings.wrong(fine.error().detail);
    }
}

/// Null when the node has not got a copy of the state.
std::shared_ptr<state::Replica> state_of(const NodeConfig& config) {
    const std::string& folder = config.node.state_dir;
    if (config.node.roles.master) {
        if (const auto file = state::leading_file(folder)) return state::Replica::of_file(*file);
    }
    if (!has_identity(folder)) return nullptr;
    const auto replica = state::Replica::of_folder(folder);
    return replica && (*replica)->filled() ? *replica : nullptr;
}

/// Static master passwords open every account of a server: foreign servers may need them, a
/// Dovecot of ours takes tokens.
void check_master_password(Findings& findings, const std::string& name,
                           const state::Entry& credential,
                           const std::optional<SealSecret>& secret) {
    findings.warn("server " + name +
                  " is entered with a static master password, which opens every account of it");
    const auto decoded = cluster::decode_credential(name, credential.value);
    if (!decoded || !secret) return;
    const auto password = cluster::opened_password(decoded->password, *secret);
    if (password && password->size() < kShortPassword) {
        findings.warn("server " + name + ": the master password has fewer than " +
                      std::to_string(kShortPassword) + " characters");
    }
}

void check_server(Findings& findings, const cluster::Server& server) {
    const auto address = IpAddress::parse(server.host);
    if (server.host == "localhost" || (address && address->is_loopback())) return;
    for (const cluster::Service service :
         {cluster::Service::Imap, cluster::Service::Pop3, cluster::Service::Sieve}) {
        const cluster::ServiceSettings* settings = server.service(service);
        if (settings == nullptr || settings->tls != cluster::TlsMode::None) continue;
        findings.warn("server " + server.name.text + ": passwords go in clear text to its " +
                      std::string(name(service)) + " service");
    }
}

/// What one front end says of a sender another takes for a stranger's, and a stranger's for its.
void check_authserv_id(Findings& findings, const NodeConfig& config,
                       const std::vector<cluster::Node>& nodes) {
    const bool takes_mail = std::ranges::any_of(config.listeners, [](const auto& listener) {
        return listener.protocol == "smtp" || listener.protocol == "submission";
    });
    if (!takes_mail || !config.mail.authserv_id.empty()) return;
    const bool some_others = std::ranges::any_of(nodes, [&](const cluster::Node& node) {
        return node.name != config.node.name && !node.revoked && !node.smtp.empty();
    });
    if (some_others) {
        findings.warn(
            "mail.authserv_id is empty: each front end removes forged results in its own name "
            "alone; set the same one on all of them");
    }
}

void check_entries(Findings& findings, const NodeConfig& config) {
    const auto replica = state_of(config);
    if (!replica) return;
    state::ReplicaReader reader(replica);
    const auto identity = load_identity(config.node.state_dir);
    const auto secret =
        identity ? std::optional<SealSecret>(identity->seal_secret()) : std::nullopt;
    const auto each = [&reader](std::string_view prefix, const auto& look) {
        const auto rows = reader.range(prefix, state::prefix_end(prefix), kMostEntries);
        if (!rows) return;
        for (const state::Entry& row : *rows) look(row.key.substr(prefix.size()), row);
    };
    each(cluster::kCredentialPrefix, [&](const std::string& name, const state::Entry& row) {
        check_master_password(findings, name, row, secret);
    });
    each(cluster::kServerPrefix, [&](const std::string& name, const state::Entry& row) {
        if (const auto server = cluster::decode_server(name, row.value)) {
            check_server(findings, *server);
        }
    });
    std::vector<cluster::Node> nodes;
    each(cluster::kNodePrefix, [&](const std::string& name, const state::Entry& row) {
        if (auto node = cluster::decode_node(name, row.value)) nodes.push_back(std::move(*node));
    });
    check_authserv_id(findings, config, nodes);
}

void check_follows(Findings& findings, const NodeConfig& config) {
    for (const FollowSettings& follow : config.follows) {
        const std::string who = "[[follow]] " + follow.name;
        if (!follow.encryption) {
            findings.warn(who + ": without encryption; what is read from " + follow.address() +
                          " can be read on the way");
        }
        if (follow.mode == "relay" && follow.domains.empty()) {
            findings.warn(who +
                          ": every domain is taken that this network says it has; name those "
                          "that are its own in domains (or \"*\")");
        }
        if (has_identity(network_folder(config, follow.name))) {
            check_used_password(findings, who, follow.password_file);
            continue;
        }
        if (!follow.password_file.empty()) {
            check_password_file(findings, who, follow.password_file);
        } else {
            findings.warn(who + " is not joined yet: muster cluster join --follow " + follow.name);
        }
    }
}

void check_cluster(Findings& findings, const NodeConfig& config, bool running) {
    if (!config.cluster.clear_listen.empty()) {
        check_endpoint(findings, "cluster.clear_listen", config.cluster.clear_listen, running);
        findings.warn("cluster.clear_listen serves followers without encryption");
    }
    check_follows(findings, config);
    if (!config.cluster.listen.empty()) {
        check_endpoint(findings, "cluster.listen", config.cluster.listen, running);
    }
    if (config.node.roles.backend && !config.backend.mail_out_listen.empty()) {
        check_endpoint(findings, "backend.mail_out_listen", config.backend.mail_out_listen,
                       running);
    }
    check_networks(findings, "cluster.allow", config.cluster.allow);
    for (const std::string& text : config.cluster.allow) {
        if (text.ends_with("/0")) {
            findings.warn("cluster.allow = " + text +
                          " lets every address try: name the networks of the nodes");
        }
    }
}

}  // namespace

std::vector<Finding> check_node(const NodeConfig& config, bool running) {
    Findings findings;
    check_state(findings, config);
    check_user(findings, config);
    check_listeners(findings, config, running);
    check_certificates(findings, config);
    check_cluster(findings, config, running);
    check_admin(findings, config, running);
    const auto settings = front_end_settings(config);
    if (!settings) findings.wrong(settings.error().detail);
    check_files_limit(findings, config);
    check_entries(findings, config);
    return findings.take();
}

}  // namespace muster::admin
