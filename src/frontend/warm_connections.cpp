#include "frontend/warm_connections.h"

#include <array>

#include "base/log.h"

namespace muster::frontend {
namespace {

constexpr std::chrono::seconds kMaxAge{120};

/// Nothing is due from a greeted server: whatever it sent, or its end, makes it useless.
bool is_quiet(net::Stream& stream) {
    std::array<char, 1> byte{};
    try {
        return stream.try_read(byte).state == net::Attempt::State::WantRead;
    } catch (const net::ConversationOver&) {
        return false;
    }
}

}  // namespace

std::unique_ptr<Upstream> WarmConnections::take(
    const std::shared_ptr<const UpstreamTarget>& target) {
    const auto found = pools_.find(target);
    if (found == pools_.end()) return nullptr;
    auto& waiting = found->second.waiting;
    while (!waiting.empty()) {
        Waiting newest = std::move(waiting.back());
        waiting.pop_back();
        if (net::Clock::now() - newest.since < kMaxAge && is_quiet(newest.upstream->stream())) {
            return std::move(newest.upstream);
        }
    }
    return nullptr;
}

void WarmConnections::put(const std::shared_ptr<const UpstreamTarget>& target,
                          std::unique_ptr<Upstream> upstream) {
    pools_[target].waiting.push_back({std::move(upstream), net::Clock::now()});
    if (!log::enabled(log::Level::Debug)) return;  // there is one for each login
    log::debug("warm-connection-ready",
               {{"server", target->server}, {"service", cluster::name(target->service)}});
}

void WarmConnections::forget(const std::shared_ptr<const UpstreamTarget>& target) {
    const auto found = pools_.find(target);
    if (found != pools_.end()) found->second.waiting.clear();
}

std::size_t WarmConnections::count(const std::shared_ptr<const UpstreamTarget>& target) const {
    const auto found = pools_.find(target);
    return found == pools_.end() ? 0 : found->second.waiting.size() + found->second.expected;
}

void WarmConnections::sweep() {
    const auto now = net::Clock::now();
    for (auto& [target, pool] : pools_) {
        while (!pool.waiting.empty() && now - pool.waiting.front().since >= kMaxAge) {
            pool.waiting.pop_front();
        }
    }
    std::erase_if(pools_, [](const auto& item) {
        return item.second.waiting.empty() && item.second.expected == 0;
    });
}

}  // namespace muster::frontend
