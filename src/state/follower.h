#pragma once
// The loop that keeps a replica in step with its sources.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "state/replica.h"
#include "state/source.h"

namespace muster::state {

enum class FollowerPhase : std::uint8_t {
    Waiting,    ///< no source answers, or only ones that are behind
    Copying,    ///< the first copy, or a new one in place of a damaged one
    Repairing,  ///< by difference, after a divergence or a trimmed log
    Following,  ///< in step
};
std::string_view name(FollowerPhase phase);

struct FollowerStatus {
    FollowerPhase phase = FollowerPhase::Waiting;
    std::string source;                                ///< the one in use or last tried
    Cursor cursor;                                     ///< what the replica holds
    std::chrono::system_clock::time_point since;       ///< of this phase
    std::optional<std::chrono::milliseconds> lag;      ///< our clock minus the last mark's time
    std::optional<std::chrono::milliseconds> silence;  ///< since the last mark was heard
    std::uint64_t entries = 0;                         ///< copied or compared in this phase
    std::string trouble;                               ///< why it waits; empty when it does not
};

struct FollowerOptions {
    Scope scope = Scope::Relay;
    std::chrono::milliseconds first_pause{200};  ///< doubles up to last_pause
    std::chrono::milliseconds last_pause{10'000};
    std::size_t page = 2'000;
    /// Pauses; replaced in tests. Returns early when a stop is asked for.
    std::function<void(std::stop_token, std::chrono::milliseconds)> pause;
};

/// The only writer of the replica. run() blocks on the owner's thread (std::jthread) until a stop
/// is asked for; status() may be called from any thread. Sources are tried in turn.
class Follower {
public:
    Follower(std::shared_ptr<Replica> replica, std::vector<std::unique_ptr<Source>> sources,
             FollowerOptions options);
    ~Follower();

    void run(const std::stop_token& stop);
    [[nodiscard]] FollowerStatus status() const;

private:
    class Session;

    std::shared_ptr<Replica> replica_;
    std::vector<std::unique_ptr<Source>> sources_;
    FollowerOptions options_;
    mutable std::mutex mutex_;
    FollowerStatus status_;
};

}  // namespace muster::state
