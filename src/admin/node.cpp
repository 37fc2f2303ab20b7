#include "admin/node.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "admin/agent_hooks.h"
#include "admin/back_end_settings.h"
#include "admin/backup.h"
#include "admin/exception_file.h"
#include "admin/files.h"
#include "admin/front_end_settings.h"
#include "admin/mail_settings.h"
#include "admin/node_identity.h"
#include "admin/server_proofs.h"
#include "admin/service_notify.h"
#include "admin/system_user.h"
#include "base/log.h"
#include "net/run_on.h"
#include "state/sqlite_store.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr net::Duration kDrainLook{250};

/// A master that no other node can reach needs no `cluster init`: it is its whole cluster.
Result<NodeIdentity> identity_of(const NodeConfig& config) {
    const bool alone = config.node.roles.master && config.cluster.listen.empty();
    if (!alone || has_identity(config.node.state_dir)) return load_identity(config.node.state_dir);
    NodeIdentity identity = new_identity(config.node.name);
    if (auto founded = found_cluster(identity); !founded) return std::unexpected(founded.error());
    if (auto saved = save_identity(config.node.state_dir, identity); !saved) {
        return std::unexpected(saved.error());
    }
    log::info("cluster-founded", {{"cluster", identity.cluster_id}});
    return identity;
}

cluster::HealthPolicy health_policy(const NodeConfig& config) {
    const UpstreamSettings& set = config.upstream;
    return {.up_after = static_cast<unsigned>(set.up_after),
            .down_after = static_cast<unsigned>(set.down_after),
            .traffic_failures = static_cast<unsigned>(set.traffic_failures),
            .traffic_clients = static_cast<unsigned>(set.traffic_clients),
            .traffic_window = set.traffic_window,
            .interval = set.check_interval,
            .fast_interval = std::min(set.check_retry, set.check_interval)};
}

/// What mail that goes to the server waits for: the network, where that is one of its front ends.
ServerName mail_home_at(const cluster::Topology& topology, const ServerName& server) {
    for (const cluster::Network& network : topology.parts().networks) {
        if (std::ranges::find(network.exits, server) != network.exits.end()) {
            return ServerName(network.suffix);
        }
    }
    return server;
}

/// Where it takes mail; empty: nowhere, while an administrator keeps it out.
std::string mail_place(const cluster::Server& server) {
    if (server.admin != cluster::AdminState::Up) return {};
    std::string place = server.host;
    for (const auto which : {cluster::Service::Lmtp, cluster::Service::Smtp}) {
        const cluster::ServiceSettings* service = server.service(which);
        place += ' ' + std::to_string(service == nullptr ? 0 : service->port);
    }
    return place;
}

}  // namespace

Node::Node(NodeConfig config, std::string file)
    : file_(std::move(file)), health_(health_policy(config)) {
    context_.config = std::move(config);
    context_.control = &loop_;
    context_.pools = &pools_;
    context_.health = &health_;
}

Node::~Node() = default;

Result<> Node::start() {
    auto started = start_parts();
    if (!started) {
        loop_.tasks().spawn(end_parts());
        loop_.run();
    }
    return started;
}

/// Clients come last: whoever is let in finds everything that serves him.
Result<> Node::start_parts() {
    if (auto locked = lock_folder(); !locked) return locked;  // before any port is bound
    if (auto dropped = drop_privileges(context_.config); !dropped) return dropped;
    auto identity = identity_of(context_.config);
    if (!identity) return std::unexpected(identity.error());
    context_.identity = std::move(*identity);
    if (auto locked = lock_folder(); !locked) return locked;
    remove_torn_backups(context_.config.node.state_dir);
    if (auto opened = open_state(); !opened) return opened;
    exceptions_ =
        std::make_unique<ExceptionFile>(context_.config.node.state_dir + "/exceptions.json");
    context_.exceptions = exceptions_.get();
    if (auto opened = open_networks(); !opened) return opened;
    topology_ = std::make_unique<cluster::TopologyTable>(context_.sources, health_,
                                                         exceptions_->exceptions());
    context_.topology = topology_.get();
    if (auto prepared = prepare_front_end(); !prepared) return prepared;
    if (auto started = start_agent(); !started) return started;
    offer_hooks();
    administration_ = std::make_unique<Administration>(context_);
    if (auto started = administration_->start(); !started) return started;
    networks_.start();
    if (auto started = start_front_end(); !started) return started;
    log::info("started", {{"version", MUSTER_VERSION},
                          {"state_dir", context_.config.node.state_dir},
                          {"filled", context_.replica->filled() ? "yes" : "no"}});
    return {};
}

/// Nothing yet when the folder is only about to be made.
Result<> Node::lock_folder() {
    const std::string& folder = context_.config.node.state_dir;
    if (lock_.held() || !exists(folder)) return {};
    auto lock = FolderLock::take(folder);
    if (!lock) return std::unexpected(lock.error());
    lock_ = std::move(*lock);
    return {};
}

Result<> Node::open_state() {
    const std::filesystem::path folder = context_.config.node.state_dir;
    if (context_.config.node.roles.master) {
        leadership_ = std::make_unique<Leadership>(context_);
        return leadership_->open();
    }
    auto replica = state::Replica::of_folder(folder);
    if (!replica) return std::unexpected(replica.error());
    context_.replica = std::move(*replica);
    return {};
}

Result<> Node::open_networks() {
    if (auto opened = networks_.open(context_); !opened) return opened;
    context_.networks = &networks_;
    context_.sources = {{"", context_.replica}};
    for (auto& source : networks_.sources()) context_.sources.push_back(std::move(source));
    return {};
}

Result<> Node::prepare_front_end() {
    if (!context_.config.node.roles.frontend) return {};
    auto settings = front_end_settings(context_.config);
    if (!settings) return std::unexpected(settings.error());
    settings->upstream.authorities += context_.identity.authority;
    settings->secret = context_.identity.seal_secret();
    upstream_settings_ = settings->upstream;
    std::function<std::unique_ptr<frontend::RequestService>(frontend::Worker&)> mail_service;
    common_secrets_ = std::make_unique<CommonSecrets>(context_);
    if (takes_mail(context_.config)) {
        auto mail = MailSystem::open(context_, common_secrets_->rewriting());
        if (!mail) return std::unexpected(mail.error());
        mail_ = std::move(*mail);
        mail_service = mail_->service();
        context_.queue = mail_->spool();
    }
    std::function<std::unique_ptr<frontend::RequestService>(frontend::Worker&)> map_service;
    if (settings->maps) {
        auto maps = map_settings(context_.config);
        if (!maps) return std::unexpected(maps.error());
        maps->rewriting = common_secrets_->rewriting();
        map_service = mx::map_service_of(std::move(*maps));
    }
    front_end_ = std::make_unique<frontend::FrontEnd>(
        std::move(*settings), *topology_, health_, &verifier_, pools_.verifying,
        std::move(mail_service), std::move(map_service));
    context_.sessions = &front_end_->sessions();
    server_check_ = std::make_unique<frontend::ServerCheck>(loop_, upstream_settings_, *topology_,
                                                            front_end_->hosts());
    return {};
}

Result<> Node::start_front_end() {
    if (!front_end_) return {};
    follow_secrets();
    if (auto used = use_certificates(context_.config); !used) return used;
    if (auto started = front_end_->start(); !started) return started;
    if (mail_) mail_->start(context_, *front_end_, upstream_settings_);
    topology_->on_change([this](const std::shared_ptr<const cluster::Topology>&) {
        loop_.post([this] {
            follow_secrets();
            follow_certificates();
            follow_servers();
            if (mail_) mail_->follow_membership(context_);
        });
    });
    follow_servers();
    health_checks_ = std::make_unique<frontend::HealthChecks>(loop_, upstream_settings_, *topology_,
                                                              health_, front_end_->hosts());
    health_checks_->on_up([this](const ServerName& server) { serve_again(server); });
    health_checks_->start();
    return {};
}

void Node::follow_certificates() {
    if (stopping_ || topology_->current()->certificates() == shown_certificates_) return;
    if (auto used = use_certificates(context_.config); !used) {
        log::error("certificates-refused", {{"reason", used.error().detail}});
    } else {
        log::info("certificates", {{"in_state", shown_certificates_.size()}});
    }
}

void Node::follow_secrets() {
    if (stopping_) return;
    const auto topology = topology_->current();
    common_secrets_->follow(*topology);
    if (!common_secrets_->begin_dkim_keys(*topology)) return;
    pools_.calls.submit([this] { common_secrets_->write_dkim_keys(); });
}

void Node::serve_again(const ServerName& server) {
    if (stopping_ || !mail_) return;
    const ServerName home = mail_home_at(*topology_->current(), server);
    pools_.calls.submit([this, home] { mail_->server_is_back(home); });
}

void Node::follow_servers() {
    std::map<ServerName, std::string> places;
    const auto topology = topology_->current();
    for (const cluster::ServerView& view : topology->servers()) {
        places.emplace(view.server.name, mail_place(view.server));
    }
    for (const auto& [server, place] : server_places_) {
        const auto now = places.find(server);
        if (now != places.end() && !now->second.empty() && now->second != place) {
            serve_again(server);
        }
    }
    server_places_ = std::move(places);
}

Result<> Node::start_agent() {
    if (!context_.config.node.roles.backend) return {};
    agent_ = std::make_unique<backend::Agent>(
        loop_, context_.replica, *topology_, share_writer(context_),
        agent_settings(context_.config, context_.identity.secret));
    if (auto started = agent_->start(); !started) return started;
    offer_agent(context_, *agent_);
    return {};
}

Result<> Node::use_certificates(const NodeConfig& config) {
    auto in_state = topology_->current()->certificates();
    auto certificates = all_certificates(config, in_state, context_.identity.seal_secret(),
                                         common_secrets_->tickets());
    if (!certificates) return std::unexpected(certificates.error());
    front_end_->use_certificates(*certificates);
    shown_certificates_ = std::move(in_state);
    return {};
}

void Node::offer_hooks() {
    NodeHooks& hooks = context_.hooks;
    hooks.reload = [this] {
        return net::run_on<Result<json>>(loop_, [this] { return reload_here(); });
    };
    if (!front_end_) return;
    hooks.try_again = [this] { loop_.post([this] { follow_secrets(); }); };
    hooks.alarms = [this] { return common_secrets_->alarms(); };
    hooks.kick = [this](const cluster::SessionFilter& filter, const std::string& reason) {
        return front_end_->kick(filter, reason);
    };
    hooks.check_server = [this](const cluster::Server& server) {
        return prove_server(context_, *server_check_, server);
    };
    if (mail_) {
        hooks.measure_queue = [this] { mail_->measure(); };
        hooks.membership = [this](bool member) { mail_->master_says(member); };
    }
    hooks.drain = [this](bool draining) {
        context_.draining = draining;
        draining ? front_end_->drain() : front_end_->resume();
    };
    hooks.frontend_status = [this] {
        json listeners = json::array();
        for (const Endpoint& endpoint : front_end_->local_endpoints()) {
            listeners.push_back(endpoint.text());
        }
        return json{{"connections", front_end_->connections()},
                    {"sessions", front_end_->sessions().size()},
                    {"listeners", std::move(listeners)}};
    };
}

void Node::run() { loop_.run(); }

void Node::stop() {
    if (std::exchange(stopping_, true)) return;
    loop_.tasks().spawn(drain_then_end());
}

Task<void> Node::drain_then_end() {
    notify_stopping();
    context_.draining = true;
    if (health_checks_) health_checks_->stop();
    if (front_end_) {
        front_end_->drain();
        const auto until = net::Clock::now() + context_.config.node.drain_time;
        while (front_end_->connections() != 0 && net::Clock::now() < until) {
            co_await net::Sleep(loop_, kDrainLook);
        }
        log::info("drained", {{"sessions_left", front_end_->connections()}});
    }
    co_await end_parts();
}

Task<void> Node::end_parts() {
    context_.stopping = true;
    if (health_checks_) health_checks_->stop();
    if (agent_) agent_->give_up();  // calls wait for it
    networks_.request_stop();
    if (administration_) co_await administration_->close();
    co_await net::Blocking(loop_, ending_, [this] {
        if (front_end_) front_end_->stop();
        if (mail_) mail_->stop();
        pools_.close();  // what still runs there may wait for the loop, and for the agent
    });
    if (agent_) co_await agent_->stop();
    loop_.post([this] { loop_.stop_when_idle(); });
}

Task<Result<json>> Node::reload_here() {
    const auto plan = reload();
    if (!plan) co_return std::unexpected(plan.error());
    co_return json{{"taken_over", plan->taken_over}, {"need_restart", plan->need_restart}};
}

Result<> Node::use_reloaded_certificates(const NodeConfig& fresh) {
    if (front_end_) {
        if (auto used = use_certificates(fresh); !used) return used;
    }
    return administration_->use_certificates(fresh);
}

Result<ReloadPlan> Node::reload() {
    notify_reloading();
    auto plan = read_again();
    notify_ready();
    if (!plan) {
        log::error("reload-refused", {{"file", file_}, {"reason", plan.error().detail}});
    } else {
        log::info("reloaded", {{"file", file_},
                               {"certificates", "read again"},
                               {"taken_over", listed(plan->taken_over)},
                               {"need_restart", listed(plan->need_restart)}});
    }
    return plan;
}

Result<ReloadPlan> Node::read_again() {
    const auto fresh = read_node_file(file_);
    if (!fresh) return std::unexpected(fresh.error());
    if (auto used = use_reloaded_certificates(*fresh); !used) return std::unexpected(used.error());
    auto plan = plan_reload(context_.config, *fresh);
    {
        const std::scoped_lock lock(context_.reload_mutex);
        take_over(context_.config, *fresh);
    }
    const NodeSettings& node = context_.config.node;
    log::configure(node.log_level, node.log_format, node.name.view());
    return plan;
}

}  // namespace muster::admin
