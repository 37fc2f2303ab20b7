#pragma once
// The follower of a node and its thread.

#include <memory>
#include <mutex>
#include <thread>

#include "admin/node_context.h"
#include "state/follower.h"

namespace muster::admin {

/// Thread-safe. The follower exists as long as this does, its thread while the node follows.
class Following {
public:
    /// `node` has its peers and its replica, and gets its follower.
    explicit Following(NodeContext& node);
    ~Following();
    Following(const Following&) = delete;
    Following& operator=(const Following&) = delete;

    void start();
    /// Returns when nothing is written to the replica any more.
    void stop();
    /// The same without waiting.
    void ask_to_stop();
    void reconsider() { follower_.reconsider(); }

private:
    NodeContext& node_;
    state::Follower follower_;
    std::mutex mutex_;
    std::jthread thread_;
};

}  // namespace muster::admin
