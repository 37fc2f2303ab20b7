#include "net/short_sleep.h"

#include <gtest/gtest.h>

namespace muster::net {
namespace {

Task<void> measure(Loop& loop, Duration pause, Clock::duration& slept) {
    const auto began = Clock::now();
    co_await ShortSleep(loop, pause);
    slept = Clock::now() - began;
}

TEST(ShortSleep, EndsAfterItsTime) {
    Loop loop;
    Clock::duration slept{};
    loop.tasks().spawn(measure(loop, Duration{5}, slept));
    loop.stop_when_idle();
    loop.run();
    EXPECT_GE(slept, Duration{5});
}

TEST(ShortSleep, OfNothingDoesNotWait) {
    Loop loop;
    Clock::duration slept{1};
    loop.tasks().spawn(measure(loop, Duration{0}, slept));
    EXPECT_NE(slept, Clock::duration{1}) << "it went on at once";
    loop.stop_when_idle();
    loop.run();
}

}  // namespace
}  // namespace muster::net
