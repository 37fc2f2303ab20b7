#include "admin/node.h"

#include <filesystem>

#include "admin/back_end_settings.h"
#include "admin/files.h"
#include "admin/front_end_settings.h"
#include "admin/node_identity.h"
#include "base/log.h"
#include "state/sqlite_store.h"

namespace muster::admin {
namespace {

constexpr net::Duration kDrainLook{250};

}  // namespace

Node::Node(NodeConfig config, std::string file)
    : config_(std::move(config)), file_(std::move(file)) {}

Node::~Node() = default;

Result<> Node::start() {
    if (auto opened = open_state(); !opened) return opened;
    topology_ = std::make_unique<cluster::TopologyTable>(replica_, health_);
    if (config_.node.roles.frontend) {
        if (auto started = start_front_end(); !started) return started;
    }
    if (config_.node.roles.backend) {
        if (auto started = start_back_end(); !started) return started;
    }
    log::info("started", {{"version", MUSTER_VERSION}, {"state_dir", config_.node.state_dir}});
    return {};
}

Result<> Node::open_state() {
    const std::filesystem::path folder = config_.node.state_dir;
    if (auto made = make_folder(folder, 0700); !made) return made;
    if (config_.node.roles.master) {
        auto stores = state::open_stores(folder);
        if (!stores) return std::unexpected(stores.error());
        stores_ = std::move(*stores);
        replica_ = state::Replica::of_store(*stores_->directory, state::directory_file(folder));
        return {};
    }
    auto replica = state::Replica::of_folder(folder);
    if (!replica) return std::unexpected(replica.error());
    replica_ = std::move(*replica);
    return {};
}

Result<> Node::start_front_end() {
    auto settings = front_end_settings(config_);
    if (!settings) return std::unexpected(settings.error());
    upstream_settings_ = settings->upstream;
    front_end_ =
        std::make_unique<frontend::FrontEnd>(std::move(*settings), replica_, *topology_, health_);
    if (auto started = front_end_->start(); !started) return started;
    if (auto used = use_certificates(); !used) return used;
    health_checks_ = std::make_unique<frontend::HealthChecks>(loop_, upstream_settings_, *topology_,
                                                              health_, front_end_->hosts());
    health_checks_->start();
    return {};
}

Result<> Node::start_back_end() {
    std::string secret;
    if (has_identity(config_.node.state_dir)) {
        auto identity = load_identity(config_.node.state_dir);
        if (!identity) return std::unexpected(identity.error());
        secret = identity->secret;
    }
    agent_ = std::make_unique<backend::Agent>(loop_, replica_, *topology_, backend::ShareWriter(),
                                              agent_settings(config_, secret));
    return agent_->start();
}

Result<> Node::use_certificates() {
    auto certificates = file_certificates(config_);
    if (!certificates) return std::unexpected(certificates.error());
    front_end_->use_certificates(std::move(*certificates));
    return {};
}

void Node::run() { loop_.run(); }

void Node::stop() {
    if (std::exchange(stopping_, true)) {
        log::warning("stopping-at-once");
        return loop_.stop();
    }
    loop_.tasks().spawn(drain_then_end());
}

Task<void> Node::drain_then_end() {
    if (health_checks_) health_checks_->stop();
    if (front_end_) {
        front_end_->drain();
        const auto until = net::Clock::now() + config_.node.drain_time;
        while (front_end_->connections() != 0 && net::Clock::now() < until) {
            co_await net::Sleep(loop_, kDrainLook);
        }
        log::info("drained", {{"sessions_left", front_end_->connections()}});
    }
    if (agent_) co_await agent_->stop();
    loop_.post([this] {
        if (front_end_) front_end_->stop();
        loop_.stop_when_idle();
    });
}

void Node::reload() {
    auto fresh = read_node_file(file_);
    if (!fresh) {
        log::error("reload-refused", {{"file", file_}, {"reason", fresh.error().detail}});
        return;
    }
    if (front_end_) {
        auto certificates = file_certificates(*fresh);
        if (!certificates) {
            log::error("reload-refused", {{"reason", certificates.error().detail}});
            return;
        }
        front_end_->use_certificates(std::move(*certificates));
    }
    config_.certificates = fresh->certificates;
    log::configure(fresh->node.log_level, fresh->node.log_format, config_.node.name.view());
    log::info("reloaded",
              {{"file", file_}, {"note", "other options take effect at the next start"}});
}

}  // namespace muster::admin
