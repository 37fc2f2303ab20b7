#include "admin/administration.h"

#include <algorithm>

#include "admin/followed_network.h"
#include "admin/front_end_settings.h"
#include "admin/node_alarms.h"
#include "admin/secret_keeper.h"
#include "base/log.h"
#include "base/metrics.h"

namespace muster::admin {
namespace {

constexpr net::Duration kWatchInterval{1'000};
constexpr std::chrono::minutes kSecretsAgain{1};
constexpr std::chrono::seconds kFirstLook{15};
constexpr std::chrono::seconds kLookInterval{15};

Result<std::vector<Network>> networks(const std::vector<std::string>& texts) {
    std::vector<Network> parsed;
    for (const std::string& text : texts) {
        auto network = Network::parse(text);
        if (!network) return fail(ErrorKind::Syntax, "cluster.allow: " + network.error().detail);
        parsed.push_back(*network);
    }
    return parsed;
}

/// Who is let in, by address.
net::HttpServer::Admission admission(std::vector<Network> networks, std::string option) {
    return [networks = std::move(networks), option = std::move(option)](const IpAddress& address) {
        if (any_contains(networks, address)) return true;
        log::warning("cluster_refused",
                     {{"peer", address.text()},
                      {"what_to_do", "if this is a node, add its address to " + option +
                                         " in this node's file and restart"}});
        return false;
    };
}

/// Null when the listener is to speak plain HTTP.
Result<std::shared_ptr<const net::TlsServer>> admin_tls(const NodeConfig& config) {
    if (!config.admin.tls) return nullptr;
    auto certificates = file_certificates(config);
    if (certificates && !*certificates) {
        return fail(ErrorKind::Syntax, "admin.tls needs a [[certificate]]");
    }
    return certificates;
}

/// What a node says of itself when it asks a master for changes.
net::HttpHeaders introduction(const NodeContext& node) {
    return {{"x-muster-instance", node.instance},
            {"x-muster-version", MUSTER_VERSION},
            {"x-muster-interval", std::to_string(node.config.cluster.update_interval.count())},
            {"x-muster-scope", std::string(name(node.scope()))},
            {"x-muster-smtp", told_smtp_listeners(node.config)}};
}

}  // namespace

cluster::NodeScope scope_of(const Roles& roles) {
    return roles.backend || roles.master ? cluster::NodeScope::Backend
                                         : cluster::NodeScope::Frontend;
}

state::Scope state_scope(cluster::NodeScope scope) {
    switch (scope) {
        case cluster::NodeScope::Mirror: return state::Scope::Mirror;
        case cluster::NodeScope::Relay: return state::Scope::Relay;
        case cluster::NodeScope::Frontend: return state::Scope::Frontend;
        case cluster::NodeScope::Backend: return state::Scope::Backend;
    }
    return state::Scope::Relay;
}

state::Scope scope_of(const cluster::Node& member) {
    const bool is_member = member.scope > cluster::NodeScope::Relay;
    return is_member && (member.master || member.eligible) ? state::Scope::All
                                                           : state_scope(member.scope);
}

state::Scope NodeContext::scope() const {
    // Who joined as one that may lead was given the authority's key; founders have it.
    if (config.node.roles.master && identity.authority_key) return state::Scope::All;
    return state_scope(scope_of(config.node.roles));
}

Administration::Administration(NodeContext& context)
    : node_(context), smtp_listeners_(context), api_(context), cluster_api_(context) {}

Administration::~Administration() {
    if (following_) following_->stop();
    for (const char* name : {"muster_leads", "muster_uptime_seconds", "muster_replica_filled",
                             "muster_replica_age_seconds", "muster_sessions", "muster_draining"}) {
        metrics::forget(name);
    }
}

Result<> Administration::start() {
    auto audit = AuditLog::open(node_.config.node.state_dir + "/audit.log");
    if (!audit) return std::unexpected(audit.error());
    audit_ = std::move(*audit);
    peers_ = std::make_unique<Peers>(node_.config, node_.identity, *node_.topology,
                                     introduction(node_), node_.hooks.membership);
    administrators_ = std::make_unique<Administrators>(node_);
    remembered_ = node_.identity.masters;
    node_.audit = audit_.get();
    node_.peers = peers_.get();
    node_.administrators = administrators_.get();
    following_ = std::make_shared<Following>(node_);
    if (node_.leadership != nullptr) {
        presence_ = std::make_unique<Presence>(*node_.coordination);
        node_.presence = presence_.get();
        if (auto begun = node_.leadership->begin(following_); !begun) return begun;
    }
    offer_metrics();
    if (auto listening = listen_admin(); !listening) return listening;
    if (auto listening = listen_cluster(); !listening) return listening;
    if (node_.leadership != nullptr) {
        node_.leadership->start();
    } else {
        following_->start();
    }
    // The order of the sources follows the state.
    node_.topology->on_change(
        [following = std::weak_ptr(following_)](const std::shared_ptr<const cluster::Topology>&) {
            if (const auto one = following.lock()) one->reconsider();
        });
    tasks_.spawn(watch());
    return {};
}

void Administration::offer_metrics() {
    metrics::gauge("muster_build_info", "Version of the program", {{"version", MUSTER_VERSION}})
        .set(1);
    metrics::probe("muster_uptime_seconds", "Since the node was started", [this] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - node_.started)
            .count();
    });
    metrics::probe("muster_replica_filled", "1 when the replica may be asked",
                   [this] { return node_.replica->filled() ? 1.0 : 0.0; });
    metrics::probe("muster_replica_age_seconds",
                   "Since a master said that nothing is missing; -1: never", [this] {
                       const auto age = node_.replica->age();
                       return age ? std::chrono::duration<double>(*age).count() : -1.0;
                   });
    metrics::probe("muster_leads", "1 while this node leads",
                   [this] { return node_.is_master() ? 1.0 : 0.0; });
    metrics::probe("muster_sessions", "Sessions that are logged in", [this] {
        return node_.sessions == nullptr ? 0.0 : static_cast<double>(node_.sessions->size());
    });
    metrics::probe("muster_draining", "1 while no new sessions are taken",
                   [this] { return node_.draining ? 1.0 : 0.0; });
}

Result<> Administration::listen_admin() {
    admin_server_ = std::make_unique<net::HttpServer>(
        *node_.control, net::HttpLimits{},
        [this](net::HttpExchange& exchange) { return api_.serve(exchange); });
    const AdminSettings& settings = node_.config.admin;
    if (auto local = admin_server_->listen_local(settings.socket); !local) return local;
    if (settings.listen.empty()) return {};
    const auto endpoint = Endpoint::parse(settings.listen);
    if (!endpoint) return fail(ErrorKind::Syntax, "admin.listen: " + endpoint.error().detail);
    const auto tls = admin_tls(node_.config);
    if (!tls) return std::unexpected(tls.error());
    const auto at = admin_server_->listen(*endpoint, *tls);
    if (!at) return std::unexpected(at.error());
    admin_at_ = *at;
    return {};
}

Result<> Administration::use_certificates(const NodeConfig& config) {
    if (!node_.config.admin.tls) return {};
    const auto tls = admin_tls(config);
    if (!tls) return std::unexpected(tls.error());
    admin_server_->replace_tls(*tls);
    return {};
}

Result<> Administration::listen_cluster() {
    const ClusterSettings& settings = node_.config.cluster;
    if (settings.listen.empty()) return {};
    const auto endpoint = Endpoint::parse(settings.listen);
    if (!endpoint) return fail(ErrorKind::Syntax, "cluster.listen: " + endpoint.error().detail);
    auto allowed = networks(settings.allow);
    if (!allowed) return std::unexpected(allowed.error());
    auto tls = net::TlsServer::create({{node_.identity.certificate, node_.identity.key, {}}},
                                      net::TlsVersion::Tls13, true);
    if (!tls) return std::unexpected(tls.error());
    cluster_server_ = std::make_unique<net::HttpServer>(
        *node_.control, net::HttpLimits{},
        [this](net::HttpExchange& exchange) { return cluster_api_.serve(exchange); });
    const auto at =
        cluster_server_->listen(*endpoint, *tls, admission(std::move(*allowed), "cluster.allow"));
    if (!at) return std::unexpected(at.error());
    cluster_at_ = *at;
    return listen_in_clear();
}

Result<> Administration::listen_in_clear() {
    const ClusterSettings& settings = node_.config.cluster;
    if (settings.clear_listen.empty()) return {};
    const auto endpoint = Endpoint::parse(settings.clear_listen);
    if (!endpoint) {
        return fail(ErrorKind::Syntax, "cluster.clear_listen: " + endpoint.error().detail);
    }
    auto allowed = networks(settings.clear_from);
    if (!allowed) return std::unexpected(allowed.error());
    auto tls = net::TlsServer::create({{node_.identity.certificate, node_.identity.key, {}}},
                                      net::TlsVersion::Tls12Signed, true);
    if (!tls) return std::unexpected(tls.error());
    clear_server_ = std::make_unique<net::HttpServer>(
        *node_.control, net::HttpLimits{},
        [this](net::HttpExchange& exchange) { return cluster_api_.serve_in_clear(exchange); });
    const auto at = clear_server_->listen(*endpoint, *tls,
                                          admission(std::move(*allowed), "cluster.clear_from"));
    if (!at) return std::unexpected(at.error());
    log::warning("cluster_in_clear",
                 {{"address", at->text()},
                  {"what",
                   "followers are served without encryption (cluster.clear_listen): what "
                   "they read can be read on the way"}});
    return {};
}

Task<void> Administration::obey(cluster::AdminState wanted) {
    if (wanted == obeyed_ || !node_.hooks.drain) co_return;
    obeyed_ = wanted;
    const bool draining = wanted != cluster::AdminState::Up;
    log::info("admin_state", {{"state", cluster::name(wanted)}});
    co_await net::Blocking(*node_.control, node_.pools->calls,
                           [this, draining] { node_.hooks.drain(draining); });
}

void Administration::note_presence() {
    if (!node_.is_master()) return;
    const Sighting self{node_.instance, node_.config.cluster.advertise, MUSTER_VERSION,
                        std::chrono::system_clock::now()};
    const auto written = presence_->flush(other_members(node_), node_.config.node.name, self);
    if (!written) log::warning("alive_unwritten", {{"reason", written.error().detail}});
}

void Administration::remember_masters() {
    auto masters = peers_->masters_in_state();
    if (masters.empty() || masters == remembered_) return;
    remembered_ = masters;
    auto saved = save_masters(node_.config.node.state_dir, node_.identity, std::move(masters));
    if (!saved) log::warning("masters_unwritten", {{"reason", saved.error().detail}});
}

Task<void> Administration::note_smtp_listeners() {
    if (!node_.is_master()) co_return;
    const auto told = smtp_listeners_.unwritten(presence_->smtp_listeners());
    if (told.empty()) co_return;
    co_await net::Blocking(*node_.control, node_.pools->calls,
                           [this, &told] { smtp_listeners_.write(told); });
}

Task<void> Administration::keep_common_secrets() {
    if (!node_.is_master() || net::Clock::now() < secrets_again_) co_return;
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    const auto topology = node_.topology->current();
    if (!secrets_are_due(*topology, now)) co_return;
    co_await net::Blocking(*node_.control, node_.pools->calls, [this, topology, now] {
        const auto kept =
            keep_secrets(*node_.directory, *topology, node_.identity.seal_secret(), now);
        if (kept) return;
        log::warning("secrets-not-kept", {{"reason", kept.error().detail}});
        secrets_again_ = net::Clock::now() + kSecretsAgain;
    });
}

Task<void> Administration::watch() {
    auto next_look = net::Clock::now() + kFirstLook;
    while (!node_.stopping) {
        const auto topology = node_.topology->current();
        const cluster::Node* self = topology->node(node_.config.node.name.text);
        if (self != nullptr) co_await obey(self->admin);
        co_await note_smtp_listeners();
        co_await keep_common_secrets();
        if (node_.networks != nullptr) node_.networks->show_metrics();
        if (net::Clock::now() >= next_look) {
            smtp_listeners_.forget_tries();
            next_look = net::Clock::now() + kLookInterval;
            co_await net::Blocking(*node_.control, node_.pools->calls, [this] {
                note_presence();
                remember_masters();
                if (node_.hooks.try_again) node_.hooks.try_again();
                alarms_.look(node_);
            });
        }
        if (node_.stopping) break;
        net::Sleep pause(*node_.control, kWatchInterval);
        watching_ = &pause;
        co_await pause;
        watching_ = nullptr;
    }
}

Task<void> Administration::close() {
    node_.stopping = true;
    if (peers_) peers_->stop();
    if (watching_ != nullptr) watching_->cut_short();
    co_await tasks_.drained();
    if (following_) following_->ask_to_stop();
    co_await net::Blocking(*node_.control, node_.pools->calls, [this] {
        if (node_.leadership != nullptr) node_.leadership->stop();
        if (following_) following_->stop();  // it asks the peers
    });
    if (cluster_server_) co_await cluster_server_->close();
    if (clear_server_) co_await clear_server_->close();
    co_await net::Blocking(*node_.control, node_.pools->calls, [this] { note_presence(); });
    if (admin_server_) co_await admin_server_->close();
}

}  // namespace muster::admin
