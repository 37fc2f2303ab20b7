#pragma once
// Connections to servers that are greeted (and, with TLS, through their handshake) and wait for a
// client, so that a login costs it no round trips of ours.

#include <deque>
#include <map>
#include <memory>
#include <utility>

#include "frontend/upstream.h"
#include "net/timer.h"

namespace muster::frontend {

/// What worker `number` keeps of a process's `whole` connections: the shares of all workers add up
/// to it, and differ by one at most.
constexpr std::size_t share_of(std::size_t whole, std::size_t workers, std::size_t number) {
    return whole / workers + (number < whole % workers ? 1 : 0);
}

/// One worker's. Connections are used once, and not when they are older than two minutes (Dovecot
/// closes unused ones after three).
class WarmConnections {
public:
    /// A living connection made for `target`, or null.
    std::unique_ptr<Upstream> take(const std::shared_ptr<const UpstreamTarget>& target);
    void put(const std::shared_ptr<const UpstreamTarget>& target,
             std::unique_ptr<Upstream> upstream);

    /// Closes those of `target`.
    void forget(const std::shared_ptr<const UpstreamTarget>& target);

    /// How many are there or on their way.
    [[nodiscard]] std::size_t count(const std::shared_ptr<const UpstreamTarget>& target) const;
    void expect(const std::shared_ptr<const UpstreamTarget>& target) { ++pools_[target].expected; }
    void expect_no_more(const std::shared_ptr<const UpstreamTarget>& target) {
        --pools_[target].expected;
    }
    /// Closes what is too old, and forgets targets that were replaced.
    void sweep();
    void clear() { pools_.clear(); }

private:
    struct Waiting {
        std::unique_ptr<Upstream> upstream;
        net::Clock::time_point since;
    };
    struct Pool {
        std::deque<Waiting> waiting;
        std::size_t expected = 0;
    };
    std::map<std::shared_ptr<const UpstreamTarget>, Pool> pools_;
};

}  // namespace muster::frontend
