#include "mx/refusal_log.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/log.h"

namespace muster::mx {
namespace {

using namespace std::chrono_literals;

constexpr wire::smtp::Refusal kUnknown{550, "5.1.1", "No such address"};

class RefusalLogTest : public testing::Test {
protected:
    RefusalLogTest() {
        log::configure(log::Level::Info, log::Format::Logfmt, "test");
        testing::internal::CaptureStderr();
    }
    ~RefusalLogTest() override { log::configure(log::Level::Off, log::Format::Logfmt, "test"); }

    void session(std::uint64_t recipients, net::Clock::time_point now) {
        Refusals refusals;
        for (std::uint64_t i = 0; i < recipients; ++i) {
            refusals.add("guess" + std::to_string(i) + "@example.com", kUnknown);
        }
        log_.tell(refusals, SessionId("s1"), client_, "attacker.example", now);
    }
    static std::size_t lines(const std::string& text) {
        return static_cast<std::size_t>(std::ranges::count(text, '\n'));
    }

    RefusalLog log_;
    Endpoint client_;
    net::Clock::time_point now_ = net::Clock::now();
};

TEST_F(RefusalLogTest, TellsOfASessionInOneLine) {
    session(0, now_);
    session(100, now_);
    const std::string text = testing::internal::GetCapturedStderr();
    EXPECT_EQ(lines(text), 1U) << text;
    EXPECT_NE(text.find("count=100 first=guess0@example.com answer=\"550 5.1.1 No such address\""),
              std::string::npos)
        << text;
}

TEST_F(RefusalLogTest, TellsOfAnAttackInNumbers) {
    for (int i = 0; i < 1000; ++i) session(100, now_);
    log_.sum_up();
    log_.sum_up();
    const std::string text = testing::internal::GetCapturedStderr();
    EXPECT_EQ(lines(text), 51U);
    EXPECT_NE(text.find("event=recipients-refused-more sessions=950 recipients=95000"),
              std::string::npos);
}

TEST_F(RefusalLogTest, TellsOfSessionsAgainLater) {
    for (int i = 0; i < 50; ++i) session(1, now_);
    session(1, now_ + 10s);
    EXPECT_EQ(lines(testing::internal::GetCapturedStderr()), 51U);
}

}  // namespace
}  // namespace muster::mx
