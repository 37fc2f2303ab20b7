#include "delivery/traffic.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace muster::delivery
