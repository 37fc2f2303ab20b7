#pragma once
// Waiting for less than a tick of the timer wheel.

#include <coroutine>

#include "net/loop.h"

namespace muster::net {

/// Awaitable on the loop's thread; exact to about a millisecond. Costs an allocation: Sleep is for
/// deadlines, this for gathering what comes within moments. Ends by itself only, so keep it short.
class ShortSleep {
public:
    ShortSleep(Loop& loop, Duration duration) : loop_(loop), duration_(duration) {}
    [[nodiscard]] bool await_ready() const noexcept { return duration_ <= Duration{0}; }
    void await_suspend(std::coroutine_handle<> waiter);
    void await_resume() const noexcept {}

private:
    Loop& loop_;
    Duration duration_;
};

}  // namespace muster::net
