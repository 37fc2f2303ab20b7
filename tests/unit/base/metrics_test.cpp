#include "base/metrics.h"

#include <gtest/gtest.h>

#include <thread>

namespace muster::metrics {
namespace {

bool shows(std::string_view line) { return exposition().find(line) != std::string::npos; }

TEST(Metrics, CountersAddUpAcrossThreads) {
    Counter& logins = counter("t_logins_total", "Logins.", {{"protocol", "imap"}});
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&logins] {
            for (int n = 0; n < 1000; ++n) logins.add();
        });
    }
    threads.clear();
    EXPECT_EQ(logins.value(), 4000U);
    EXPECT_TRUE(shows("# TYPE t_logins_total counter"));
    EXPECT_TRUE(shows("t_logins_total{protocol=\"imap\"} 4000"));
    EXPECT_EQ(&counter("t_logins_total", "Logins.", {{"protocol", "imap"}}), &logins);
}

TEST(Metrics, HistogramBucketsAreCumulative) {
    const double bounds[] = {1.0, 2.0};
    Histogram& times = histogram("t_seconds", "Times.", {}, bounds);
    times.observe(0.5);
    times.observe(1.0);
    times.observe(1.5);
    times.observe(9);
    EXPECT_TRUE(shows("t_seconds_bucket{le=\"1\"} 2"));
    EXPECT_TRUE(shows("t_seconds_bucket{le=\"2\"} 3"));
    EXPECT_TRUE(shows("t_seconds_bucket{le=\"+Inf\"} 4"));
    EXPECT_TRUE(shows("t_seconds_sum 12"));
}

TEST(Metrics, GaugesAndProbes) {
    gauge("t_sessions", "Sessions.").set(3);
    probe("t_probe", "Asked.", [] { return 7.0; });
    EXPECT_TRUE(shows("t_sessions 3"));
    EXPECT_TRUE(shows("t_probe 7"));
    forget("t_probe");
    EXPECT_FALSE(shows("t_probe"));
}

TEST(Metrics, AGaugeOfSomethingThatIsGoneIsForgottenAlone) {
    gauge("t_ends", "Ends.", {{"of", "a"}}).set(1);
    gauge("t_ends", "Ends.", {{"of", "b"}}).set(2);
    forget_gauge("t_ends", {{"of", "a"}});
    EXPECT_FALSE(shows("of=\"a\""));
    EXPECT_TRUE(shows("t_ends{of=\"b\"} 2"));
    forget_gauge("t_ends", {{"of", "b"}});
    EXPECT_FALSE(shows("t_ends"));
}

}  // namespace
}  // namespace muster::metrics
