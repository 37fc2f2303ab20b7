#pragma once
// Moves bytes between a client and its server until both sides have ended.

#include <coroutine>
#include <cstdint>
#include <memory>
#include <string>

#include "net/socket_stream.h"

namespace muster::net {

/// The two ends of a pipe(2), or none.
struct Pipe {
    int out = -1;  ///< read end
    int in = -1;   ///< write end
};

/// What a pump moved, for the log.
struct Moved {
    std::uint64_t to_server = 0;
    std::uint64_t to_client = 0;
    EndReason reason = EndReason::None;  ///< of the side that ended first
};

/// The last phase of a session. While nothing moves it holds no buffer: it waits for readiness and
/// borrows a buffer from its thread, or for bulk between two plain legs a pipe (splice(2)).
/// When one side ends in order, the other is told; it may finish what it says, and is ended when
/// it has been silent for `farewell`.
/// Lives on the streams' thread; awaited once: `Moved moved = co_await pump;`
class Pump final : private Timer {
public:
    /// `idle` ends a session in which nothing moved for that long (RFC 3501, 5.4: 30 minutes).
    Pump(SocketStream& client, SocketStream& server, Duration idle,
         Duration farewell = Duration{30'000});
    ~Pump();

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter);
    [[nodiscard]] Moved await_resume() const { return moved_; }

    /// Ends both legs soon; await_resume then tells `reason`.
    void abort(EndReason reason);

private:
    /// One direction. At most one wait is pending for it.
    struct Leg final : WaitOp {
        enum class State : std::uint8_t { Moving, Waiting, Ended };

        Leg(Pump& owner, SocketStream& source, SocketStream& sink)
            : pump(owner), from(source), to(sink) {}
        void ready() override { pump.turn(*this); }

        Pump& pump;
        SocketStream& from;
        SocketStream& to;
        std::uint64_t bytes = 0;
        std::unique_ptr<std::string> held;  // read, but not yet written
        Pipe pipe;                          // borrowed while it holds bytes
        std::uint32_t in_pipe = 0;
        State state = State::Moving;
        bool bulk = false;  // the last turn filled a buffer: splice
    };

    void turn(Leg& leg);
    void move(Leg& leg);
    /// Each moves once; false when the leg now waits or has ended.
    bool splice_once(Leg& leg);
    bool copy_once(Leg& leg);
    /// Whether the last turn of a copying leg filled a buffer.
    static void note_bulk(Leg& leg, bool bulk);
    /// Writes `data`; keeps and waits with what the sink does not take now. False while it waits.
    bool write_or_hold(Leg& leg, std::string_view data);
    void wait(Leg& leg, SocketStream& stream, Direction direction);
    void end(Leg& leg);
    void over(EndReason reason);
    void expired() override;

    Leg up_;    // client to server
    Leg down_;  // server to client
    std::coroutine_handle<> waiter_;
    Moved moved_;
    Duration idle_;
    Duration farewell_;
    std::uint64_t moved_before_ = 0;  // at the last look of the idle timer
    std::uint8_t quiet_looks_ = 0;
    bool spliced_;
    bool closing_ = false;
};

}  // namespace muster::net
