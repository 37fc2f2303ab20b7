#include "net/timer.h"

#include <gtest/gtest.h>

#include <vector>

namespace muster::net {
namespace {

struct Recorder final : Timer {
    Recorder(TimerWheel& owner, std::vector<std::uint32_t>& log) : wheel(owner), fired(log) {}
    void expired() override {
        fired.push_back(wheel.now());
        if (again) wheel.arm(*this, TimerWheel::kTick);
    }
    TimerWheel& wheel;
    std::vector<std::uint32_t>& fired;
    bool again = false;
};

TEST(TimerWheel, FiresNotBeforeItsTimeAndOnce) {
    TimerWheel wheel;
    std::vector<std::uint32_t> fired;
    Recorder timer(wheel, fired);
    wheel.arm(timer, Duration{1000});
    wheel.advance(4);
    EXPECT_TRUE(fired.empty());
    wheel.advance(100);
    EXPECT_EQ(fired, (std::vector<std::uint32_t>{5}));
    EXPECT_FALSE(timer.armed());
}

TEST(TimerWheel, KeepsLongTimersThroughItsTurns) {
    TimerWheel wheel;
    std::vector<std::uint32_t> fired;
    Recorder timer(wheel, fired);
    wheel.arm(timer, std::chrono::hours{1});
    wheel.advance(14400);
    EXPECT_TRUE(fired.empty());
    wheel.advance(14401);
    EXPECT_EQ(fired.size(), 1U);
}

TEST(TimerWheel, MayBeArmedAgainWhenItFiresAndDisarmed) {
    TimerWheel wheel;
    std::vector<std::uint32_t> fired;
    Recorder timer(wheel, fired);
    timer.again = true;
    wheel.arm(timer, Duration{0});
    wheel.advance(10);
    EXPECT_EQ(fired.size(), 5U);
    timer.disarm();
    wheel.advance(20);
    EXPECT_EQ(fired.size(), 5U);
}

}  // namespace
}  // namespace muster::net
