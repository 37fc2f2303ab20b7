#include "cluster/health.h"

#include <gtest/gtest.h>

namespace muster::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const HealthTime kStart{std::chrono::hours(1)};
const IpAddress kAnn = *IpAddress::parse("192.0.2.1");
const IpAddress kBob = *IpAddress::parse("192.0.2.2");

TEST(HealthMachine, ThreeBadChecksTakeAServerAwayTwoGoodOnesBringItBack) {
    const HealthPolicy policy;
    HealthMachine machine(policy);
    EXPECT_EQ(machine.observed(), Observed::Unknown);
    EXPECT_EQ(machine.checked(true, kStart), Observed::Up);
    EXPECT_EQ(machine.checked(false, kStart), std::nullopt);
    EXPECT_EQ(machine.checked(false, kStart), std::nullopt);
    EXPECT_EQ(machine.checked(false, kStart), Observed::Down);
    EXPECT_EQ(machine.checked(true, kStart), std::nullopt);
    EXPECT_EQ(machine.checked(true, kStart), Observed::Up);
}

TEST(HealthMachine, OneGoodCheckInBetweenStartsTheCountAnew) {
    const HealthPolicy policy;
    HealthMachine machine(policy);
    machine.checked(true, kStart);
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(machine.checked(false, kStart), std::nullopt);
        EXPECT_EQ(machine.checked(false, kStart), std::nullopt);
        EXPECT_EQ(machine.checked(true, kStart), std::nullopt);
    }
    EXPECT_EQ(machine.observed(), Observed::Up);
}

TEST(HealthMachine, OneClientAloneNeverTakesAServerAway) {
    const HealthPolicy policy;
    HealthMachine machine(policy);
    machine.checked(true, kStart);
    for (int i = 0; i < 1'000; ++i) EXPECT_FALSE(machine.traffic_failed(kAnn, kStart));
    EXPECT_EQ(machine.observed(), Observed::Up);
    EXPECT_EQ(machine.traffic_failed(kBob, kStart), Observed::Down);
}

TEST(HealthMachine, FailuresOutsideTheWindowDoNotCount) {
    const HealthPolicy policy;
    HealthMachine machine(policy);
    for (int i = 0; i < 10; ++i) machine.traffic_failed(kAnn, kStart);
    const HealthTime later = kStart + policy.traffic_window + seconds(1);
    EXPECT_FALSE(machine.traffic_failed(kBob, later));
    EXPECT_EQ(machine.observed(), Observed::Unknown);
}

TEST(HealthMachine, ASuccessForgetsFailures) {
    const HealthPolicy policy;
    HealthMachine machine(policy);
    for (int i = 0; i < 4; ++i) machine.traffic_failed(kAnn, kStart);
    machine.traffic_succeeded();
    EXPECT_FALSE(machine.traffic_failed(kBob, kStart));
}

TEST(HealthMachine, ChecksComeFasterInDoubt) {
    const HealthPolicy policy;
    HealthMachine machine(policy);
    EXPECT_EQ(machine.due(kStart), kStart + policy.fast_interval);
    machine.checked(true, kStart);
    EXPECT_EQ(machine.due(kStart), kStart + policy.interval);
    machine.checked(false, kStart);
    EXPECT_EQ(machine.due(kStart), kStart + policy.fast_interval);
}

TEST(HealthTable, WorkersSeeEachServiceApart) {
    HealthTable table;
    const auto health = table.of(ServerName("sv1"));
    const CheckTarget imap{ServerName("sv1"), Service::Imap};
    EXPECT_TRUE(health->usable(Service::Imap));
    for (int i = 0; i < 2; ++i) EXPECT_FALSE(table.checked(imap, false, "refused", kStart));
    const auto change = table.checked(imap, false, "refused", kStart);
    ASSERT_TRUE(change);
    EXPECT_EQ(change->now, Observed::Down);
    EXPECT_EQ(change->reason, "refused");
    EXPECT_FALSE(health->usable(Service::Imap));
    EXPECT_TRUE(health->usable(Service::Pop3));
    ASSERT_EQ(table.rows().size(), 1u);
    EXPECT_EQ(table.rows()[0].last_error, "refused");
}

TEST(HealthTable, ChecksAreDueOnceAnInterval) {
    const HealthPolicy policy;
    HealthTable table(policy);
    const std::vector<CheckTarget> wanted{{ServerName("sv1"), Service::Imap},
                                          {ServerName("sv1"), Service::Pop3}};
    EXPECT_EQ(table.due(wanted, kStart).size(), 2u);
    EXPECT_TRUE(table.due(wanted, kStart).empty());
    table.checked(wanted[0], true, "", kStart);
    EXPECT_EQ(table.due(wanted, kStart + policy.fast_interval),
              std::vector<CheckTarget>{wanted[1]});
    EXPECT_EQ(table.due(wanted, kStart + policy.interval).size(), 2u);
}

TEST(HealthTable, ForgetsServersThatAreGoneUnlessSomebodyHoldsThem) {
    HealthTable table;
    const auto held = table.of(ServerName("held"));
    table.checked({ServerName("gone"), Service::Imap}, true, "", kStart);
    table.checked({ServerName("held"), Service::Imap}, true, "", kStart);
    EXPECT_TRUE(table.due({}, kStart).empty());
    ASSERT_EQ(table.rows().size(), 1u);
    EXPECT_EQ(table.rows()[0].server.text, "held");
}

}  // namespace
}  // namespace muster::cluster
