#pragma once
// A file descriptor on a loop: readiness, deadline, abort. What is done with it is its owner's.

#include <coroutine>
#include <cstddef>
#include <cstdint>

#include "net/conversation.h"
#include "net/loop.h"

namespace muster::net {

enum class Direction : std::uint8_t { Read, Write };

/// One wait in progress. Holds the event loop's record of it in place, so that waiting allocates
/// nothing; must stay where it is until ready() was called.
class WaitOp {
public:
    virtual void ready() = 0;

    WaitOp() = default;
    WaitOp(const WaitOp&) = delete;
    WaitOp& operator=(const WaitOp&) = delete;

    static constexpr std::size_t kArenaBytes = 128;
    alignas(std::max_align_t) std::byte arena[kArenaBytes];

protected:
    ~WaitOp() = default;
};

/// Owns an open, non-blocking descriptor. Lives on its loop's thread. At most one wait a
/// direction at a time. Destroy it only when no wait is pending (abort() first).
class Descriptor final : private Timer {
public:
    /// Takes `fd` over.
    Descriptor(Loop& loop, int fd);
    ~Descriptor();

    [[nodiscard]] int fd() const;
    [[nodiscard]] Loop& loop() const { return loop_; }

    /// Calls `op.ready()` from the loop when the descriptor is ready or the wait was aborted
    /// (see ended()). After an abort it calls it soon, without waiting.
    void wait(Direction direction, WaitOp& op);

    /// Aborts waits now and from now on. The first reason stays.
    void abort(EndReason reason);
    [[nodiscard]] EndReason ended() const { return ended_; }
    void throw_if_ended() const {
        if (ended_ != EndReason::None) [[unlikely]]
            throw ConversationOver(ended_);
    }

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

private:
    void expired() override;

    Loop& loop_;
    EndReason ended_ = EndReason::None;
    static constexpr std::size_t kImplBytes = 48;
    alignas(std::max_align_t) std::byte impl_[kImplBytes];
};

}  // namespace muster::net
