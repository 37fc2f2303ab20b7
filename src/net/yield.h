#pragma once
// Long work on a loop, in pieces.

#include <coroutine>

#include "net/loop.h"

namespace muster::net {

/// `co_await Yield(loop)`: whatever else is ready goes first. On the loop's thread.
class Yield {
public:
    explicit Yield(Loop& loop) : loop_(loop) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
        loop_.post([waiter] { waiter.resume(); });
    }
    void await_resume() const noexcept {}

private:
    Loop& loop_;
};

}  // namespace muster::net
