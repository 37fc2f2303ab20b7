#pragma once
// Work that takes minutes, with its progress told in the answer.

#include <nlohmann/json.hpp>

#include <functional>
#include <mutex>
#include <optional>

#include "admin/api.h"
#include "net/http_server.h"

namespace muster::admin {

/// Work on a blocking thread and the exchange that waits for it; each may outlive the other.
struct Job {
    std::mutex mutex;
    nlohmann::json progress;
    bool fresh = false;
    std::optional<ApiResult> result;
    net::HttpExchange* waiting = nullptr;  // on the loop's thread only

    void tell(nlohmann::json now) {
        const std::scoped_lock lock(mutex);
        progress = std::move(now);
        fresh = true;
    }
    std::optional<nlohmann::json> news() {
        const std::scoped_lock lock(mutex);
        if (!std::exchange(fresh, false)) return std::nullopt;
        return progress;
    }
    bool done() {
        const std::scoped_lock lock(mutex);
        return result.has_value();
    }
};

using Work = std::function<ApiResult(Job&)>;

/// Runs `work` on the pool of transfers. Answers with JSON lines: {"progress": …} about once a
/// second and as it ends, then {"result": …} or {"error": …}.
Task<void> run_with_progress(NodeContext& node, net::HttpExchange& exchange, Work work);

}  // namespace muster::admin
