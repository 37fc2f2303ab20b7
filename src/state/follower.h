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

#include "state/follower_session.h"
#include "state/replica.h"
#include "state/source.h"

namespace muster::state {

struct FollowerOptions {
    Scope scope = Scope::Relay;
    std::chrono::milliseconds first_pause{200};  ///< doubles up to last_pause
    std::chrono::milliseconds last_pause{10'000};
    std::size_t page = kFeedPage;
    /// 0: changes are streamed; otherwise fetched, with this pause between two times.
    std::chrono::milliseconds update_interval{0};
    /// Pauses; replaced in tests. Returns early when a stop is asked for.
    std::function<void(std::stop_token, std::chrono::milliseconds)> pause{};
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
    void follow(ReplicaWriter& writer, const std::stop_token& stop);
    enum class Visit : std::uint8_t { Vain, Progressed, InStep };
    Visit try_source(Source& source, ReplicaWriter& writer, const std::stop_token& stop);
    void note_trouble(const Error& error);

    std::shared_ptr<Replica> replica_;
    std::vector<std::unique_ptr<Source>> sources_;
    FollowerOptions options_;
    mutable std::mutex mutex_;
    FollowerStatus status_;
};

}  // namespace muster::state
