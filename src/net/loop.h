#pragma once
// One thread's event loop.

#include <coroutine>
#include <functional>
#include <memory>

#include "base/task.h"
#include "net/timer.h"

namespace muster::net {

/// Everything that belongs to a thread: readiness events, timers, tasks. Only `post` and `stop`
/// may be called from other threads.
class Loop {
public:
    Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;
    ~Loop();

    /// Runs on the calling thread until stop().
    void run();
    /// Ends run() soon; thread-safe.
    void stop();
    /// Ends run() when no task is left. On the loop's thread.
    void stop_when_idle();
    /// Runs `work` on the loop's thread; thread-safe. Keep what it captures alive.
    void post(std::function<void()> work);

    /// Tasks that live as long as the loop; their owner waits for them before the loop ends.
    [[nodiscard]] TaskGroup& tasks() { return tasks_; }
    void arm(Timer& timer, Duration after);

    struct Impl;
    [[nodiscard]] Impl& impl() { return *impl_; }

private:
    Task<void> stop_after_tasks();

    TaskGroup tasks_;
    TaskGroup farewell_;
    std::unique_ptr<Impl> impl_;
};

/// Resumes after `duration` (granularity: TimerWheel::kTick).
class Sleep final : public Timer {
public:
    Sleep(Loop& loop, Duration duration) : loop_(loop), duration_(duration) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
        waiter_ = waiter;
        loop_.arm(*this, duration_);
    }
    void await_resume() const noexcept {}
    /// Wakes the waiter before its time, at once: it has run on when this returns.
    void cut_short();
    /// Wakes it before its time, from the loop.
    void end_soon();
    void expired() override { waiter_.resume(); }

private:
    Loop& loop_;
    Duration duration_;
    std::coroutine_handle<> waiter_;
};

}  // namespace muster::net
