#include "admin/following.h"

#include "admin/peers.h"

namespace muster::admin {
namespace {

state::FollowerOptions options_of(const NodeContext& node) {
    state::FollowerOptions options;
    options.scope = node.scope();
    options.update_interval = node.config.cluster.update_interval;
    return options;
}

}  // namespace

Following::Following(NodeContext& node)
    : node_(node),
      follower_(node.replica, [&node] { return node.peers->sources(); }, options_of(node)) {
    node_.follower = &follower_;
}

Following::~Following() {
    stop();
    node_.follower = nullptr;
}

void Following::start() {
    const std::scoped_lock lock(mutex_);
    if (thread_.joinable() || node_.stopping) return;
    thread_ = std::jthread([this](const std::stop_token& stop) { follower_.run(stop); });
}

void Following::stop() {
    const std::scoped_lock lock(mutex_);
    if (!thread_.joinable()) return;
    thread_.request_stop();
    thread_.join();
}

void Following::ask_to_stop() {
    const std::scoped_lock lock(mutex_);
    thread_.request_stop();
}

}  // namespace muster::admin
