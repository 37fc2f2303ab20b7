#include "delivery/traffic.h"

#include <gtest/gtest.h>

#include "delivery/pace.h"

namespace muster::delivery {
namespace {

TEST(Traffic, FewWaitInMemory) {
    constexpr std::size_t kMost = 4;
    constexpr int kComing = 100;
    net::Loop loop;
    queue::Schedule schedule{queue::RetrySettings{}};
    Traffic traffic(loop, schedule, kMost);
    int sent_back = 0;
    int arrived = 0;
    struct Story {
        static Task<void> go(Traffic& traffic, int& sent_back, int& arrived) {
            if (!traffic.come("host:a")) {
                ++sent_back;
                co_return;
            }
            co_await traffic.turn("host:a");
            ++arrived;
        }
    };
    for (int i = 0; i < kComing; ++i) loop.tasks().spawn(Story::go(traffic, sent_back, arrived));
    EXPECT_EQ(arrived, 4);
    EXPECT_EQ(sent_back, kComing - 4 - 2);
    for (int i = 0; i < 2; ++i) traffic.leave("host:a");  // those that wait come
    loop.stop_when_idle();
    loop.run();
    EXPECT_EQ(arrived, 6);
}

TEST(Traffic, OneAtATimeMayCome) {
    net::Loop loop;
    queue::Schedule schedule{queue::RetrySettings{}};
    Traffic traffic(loop, schedule, 1);
    EXPECT_TRUE(traffic.come("host:a"));
    EXPECT_TRUE(traffic.turn("host:a").await_ready());
    EXPECT_TRUE(traffic.come("host:a"));
    EXPECT_TRUE(traffic.come("host:b"));
}

TEST(Traffic, ADestinationMayTakeFewer) {
    net::Loop loop;
    queue::Schedule schedule{queue::RetrySettings{}};
    Traffic traffic(loop, schedule, 50);
    for (int i = 0; i < 2; ++i) {
        EXPECT_TRUE(traffic.come("host:a/one.test", 2));
        EXPECT_TRUE(traffic.turn("host:a/one.test").await_ready());
    }
    EXPECT_TRUE(traffic.come("host:a/one.test", 2));
    EXPECT_FALSE(traffic.turn("host:a/one.test").await_ready());
    EXPECT_TRUE(traffic.come("host:a/one.test", 3));  // it was told of another limit
    EXPECT_TRUE(traffic.turn("host:a/one.test").await_ready());
    EXPECT_TRUE(traffic.come("host:b"));
}

TEST(Traffic, NoMoreInAMinuteThanSaid) {
    using namespace std::chrono_literals;
    constexpr queue::Time kStart = queue::Time{} + 1000h;
    Pace pace;
    unsigned gone = 0;
    for (auto at = 0s; at < 60s; at += 1s) {
        if (!pace.take("a", 20, kStart + at)) ++gone;
        EXPECT_EQ(pace.take("b", 600, kStart + at), std::nullopt);
    }
    EXPECT_EQ(gone, 20U);
    EXPECT_EQ(pace.take("a", 20, kStart + 58s), kStart + 61s);
    EXPECT_EQ(pace.take("a", 20, kStart - 5h), std::nullopt);  // the clock was set back
}

TEST(Traffic, APaceIsKeptByOneWhoLooksTwiceASecond) {
    using namespace std::chrono_literals;
    constexpr queue::Time kStart = queue::Time{} + 1000h;
    Pace pace;
    unsigned gone = 0;
    for (auto at = 0ms; at < 60s; at += 500ms) {
        while (!pace.take("a", 6000, kStart + at)) ++gone;
    }
    EXPECT_LE(gone, 6000U);
    EXPECT_GE(gone, 5800U);
    unsigned at_once = 0;  // whoever was idle has nothing to make up for
    while (!pace.take("a", 6000, kStart + 1h)) ++at_once;
    EXPECT_EQ(at_once, 1U);
}

}  // namespace
}  // namespace muster::delivery
