#pragma once
// The loop that keeps a replica in step with its sources.

#include <chrono>
#include <condition_variable>
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
    /// While a later source is followed, how often the ones before it are asked whether they answer
    /// again. Not with an update interval: each visit begins with the first one.
    std::chrono::milliseconds look_interval{10'000};
    /// Pauses; replaced in tests. Returns early when a stop is asked for.
    std::function<void(std::stop_token, std::chrono::milliseconds)> pause{};
};

/// The sources as they are known now, in the order to try them. Called on the follower's threads.
using SourceList = std::function<std::vector<std::unique_ptr<Source>>()>;

/// The only writer of the replica. run() blocks on the owner's thread (std::jthread) until a stop
/// is asked for, and may be called again afterwards; other calls from any thread.
///
/// Sources are tried in turn, the first one first. While a later one is followed, a second thread
/// looks whether an earlier one answers again and has what this replica has; only then the stream
/// is left for it. The list is asked for anew each time.
class Follower {
public:
    Follower(std::shared_ptr<Replica> replica, SourceList sources, FollowerOptions options);
    ~Follower();

    void run(const std::stop_token& stop);
    [[nodiscard]] FollowerStatus status() const;
    /// The list of sources has changed: look now.
    void reconsider();

private:
    void follow(ReplicaWriter& writer, const std::stop_token& stop);
    enum class Visit : std::uint8_t { Vain, Progressed, InStep };
    Visit try_source(Source& source, ReplicaWriter& writer, const std::stop_token& stop);
    Visit try_all(ReplicaWriter& writer, const std::stop_token& stop);
    void note_trouble(const Error& error);
    /// The thread that looks for earlier sources.
    void look(const std::stop_token& stop);
    /// Leaves the stream when a source before the one in use is good.
    void look_once(const std::stop_token& stop);
    static bool is_good(Source& source, const Cursor& cursor);
    [[nodiscard]] bool leaves() const;

    /// While it stands, a stop reaches the source.
    class InUse {
    public:
        InUse(Follower& follower, Source& source, Source*& place);
        ~InUse();
        InUse(const InUse&) = delete;
        InUse& operator=(const InUse&) = delete;

    private:
        Follower& follower_;
        Source*& place_;
    };

    std::shared_ptr<Replica> replica_;
    SourceList sources_;
    FollowerOptions options_;
    mutable std::mutex mutex_;
    FollowerStatus status_;
    Source* followed_ = nullptr;
    Source* looked_at_ = nullptr;
    bool leaves_ = false;  ///< for an earlier source
    bool look_now_ = false;
    std::condition_variable_any look_;
};

}  // namespace muster::state
