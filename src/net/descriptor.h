#pragma once
// A file descriptor on a loop: readiness, deadline, abort. What is done with it is its owner's.

#include <array>
#include <coroutine>
#include <cstddef>
#include <cstdint>

#include "net/conversation.h"
#include "net/loop.h"

namespace muster::net {

enum class Direction : std::uint8_t { Read, Write };

/// Whoever waits. Must stay where it is until ready() was called.
class WaitOp {
public:
    virtual void ready() = 0;

    WaitOp() = default;
    WaitOp(const WaitOp&) = delete;
    WaitOp& operator=(const WaitOp&) = delete;

protected:
    ~WaitOp() = default;
};

/// Owns an open, non-blocking descriptor. Lives on its loop's thread. At most two waits a
/// direction at a time (a reader that TLS makes wait for room to write, beside the writer).
/// Destroy it only when no wait is pending (abort() first).
///
/// The kernel tells of changes only (EPOLLET), so the descriptor remembers for each direction
/// whether trying is worth a system call: yes after an event, until somebody found it exhausted.
class Descriptor final : private Timer {
public:
    /// Takes `fd` over. `writable` is false for a socket that is still connecting.
    Descriptor(Loop& loop, int fd, bool writable = true);
    ~Descriptor();

    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] Loop& loop() const { return loop_; }

    /// Whether a try may succeed.
    [[nodiscard]] bool promising(Direction direction) const { return side(direction).promising; }
    /// A try found nothing to read, or no room to write (EAGAIN, or a short count on a stream).
    void exhausted(Direction direction);
    /// The kernel reported an error or a hang-up; a try will tell which.
    [[nodiscard]] bool failed() const { return failed_; }

    /// Calls `op.ready()` from the loop when a try may succeed, or the wait was aborted (see
    /// ended()). Never from within wait().
    void wait(Direction direction, WaitOp& op);

    /// Takes a wait back; false when it is too late, and ready() will be called.
    bool withdraw(Direction direction, WaitOp& op);

    /// Aborts waits now and from now on. The first reason stays.
    void abort(EndReason reason);
    [[nodiscard]] EndReason ended() const { return ended_; }
    void throw_if_ended() const {
        if (ended_ != EndReason::None) [[unlikely]]
            throw ConversationOver(ended_);
    }

    /// Hears of no event from now on. For a socket that lives on in another descriptor: the kernel
    /// would go on to tell of it after this one is closed.
    void leave();

    /// After `duration` the descriptor aborts with EndReason::Deadline. Setting a deadline anew
    /// forgets one that has passed, so that a last word can be said; no other reason is forgotten.
    void expire_after(Duration duration);
    void expire_never();

    /// `co_await ready(Direction::Read)`: throws ConversationOver after an abort.
    class Ready final : public WaitOp {
    public:
        Ready(Descriptor& descriptor, Direction direction)
            : descriptor_(descriptor), direction_(direction) {}
        [[nodiscard]] bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> waiter) {
            waiter_ = waiter;
            descriptor_.wait(direction_, *this);
        }
        void await_resume() const { descriptor_.throw_if_ended(); }
        void ready() override { waiter_.resume(); }

    private:
        Descriptor& descriptor_;
        Direction direction_;
        std::coroutine_handle<> waiter_;
    };
    Ready ready(Direction direction) { return {*this, direction}; }

    /// For the loop: what epoll reported.
    void happened(std::uint32_t events);

private:
    struct Side {
        std::array<WaitOp*, 2> waiters{};
        bool promising = false;
    };
    Side& side(Direction direction) { return direction == Direction::Read ? read_ : write_; }
    [[nodiscard]] const Side& side(Direction direction) const {
        return direction == Direction::Read ? read_ : write_;
    }
    void release(Side& side);
    void expired() override;

    Loop& loop_;
    Side read_;
    Side write_;
    int fd_;
    EndReason ended_ = EndReason::None;
    bool failed_ = false;
    bool hung_up_ = false;  ///< the peer's end was reported, and is not reported again
};

}  // namespace muster::net
