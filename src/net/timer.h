#pragma once
// Coarse timers for deadlines: arming and disarming cost a few instructions and no allocation.

#include <array>
#include <chrono>
#include <cstdint>

namespace muster::net {

using Clock = std::chrono::steady_clock;
using Duration = std::chrono::milliseconds;

class TimerWheel;

/// One deadline; embed it in whatever it guards. Lives on the thread of its wheel.
class Timer {
public:
    virtual void expired() = 0;

    [[nodiscard]] bool armed() const { return next_ != nullptr; }
    void disarm();

    Timer() = default;
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

protected:
    ~Timer() { disarm(); }

private:
    friend class TimerWheel;
    Timer* previous_ = nullptr;
    Timer* next_ = nullptr;
    std::uint32_t due_ = 0;
};

/// Single-level hashed timing wheel (Varghese and Lauck, SOSP 1987, scheme 6). A timer fires
/// between its duration and one tick (250 ms) later.
class TimerWheel {
public:
    static constexpr Duration kTick{250};

    TimerWheel();
    TimerWheel(const TimerWheel&) = delete;
    TimerWheel& operator=(const TimerWheel&) = delete;
    ~TimerWheel();

    /// Arms `timer`, or moves it when it is armed already.
    void arm(Timer& timer, Duration after);
    /// Fires what is due when the wheel has turned to `now` ticks. Called by the loop.
    void advance(std::uint32_t now);
    [[nodiscard]] std::uint32_t now() const { return now_; }

private:
    static constexpr std::size_t kSlots = 1024;

    /// Head of a slot's ring; never expires itself.
    struct Head final : Timer {
        void expired() override {}
    };
    void fire_slot(Head& slot, std::uint32_t tick);

    std::array<Head, kSlots> slots_;
    std::uint32_t now_ = 0;
};

}  // namespace muster::net
