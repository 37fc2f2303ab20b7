#include "frontend/client_guard.h"

#include <gtest/gtest.h>

namespace muster::frontend {
namespace {

using Verdict = ClientGuard::Verdict;

IpAddress address(const char* text) { return *IpAddress::parse(text); }

Limits small_limits() {
    Limits limits;
    limits.connections = 3;
    limits.connections_per_address = 2;
    limits.failures = 2;
    return limits;
}

TEST(ClientGuard, CountsConnectionsOfAnAddressAndOfAll) {
    ClientGuard guard(small_limits());
    const IpAddress one = address("192.0.2.1");
    EXPECT_EQ(guard.enter(one), Verdict::Welcome);
    EXPECT_EQ(guard.enter(one), Verdict::Welcome);
    EXPECT_EQ(guard.enter(one), Verdict::TooManyFromAddress);
    EXPECT_EQ(guard.enter(address("192.0.2.2")), Verdict::Welcome);
    EXPECT_EQ(guard.enter(address("192.0.2.3")), Verdict::TooMany);
    guard.leave(one);
    EXPECT_EQ(guard.enter(address("192.0.2.3")), Verdict::Welcome);
    EXPECT_EQ(guard.connections(), 3U);
}

TEST(ClientGuard, CountsIpv6ClientsByTheirNetwork) {
    ClientGuard guard(small_limits());
    EXPECT_EQ(guard.enter(address("2001:db8::1")), Verdict::Welcome);
    EXPECT_EQ(guard.enter(address("2001:db8::2")), Verdict::Welcome);
    EXPECT_EQ(guard.enter(address("2001:db8::3")), Verdict::TooManyFromAddress);
    EXPECT_EQ(guard.enter(address("2001:db8:0:1::1")), Verdict::Welcome);
}

TEST(ClientGuard, FailuresDelayThenBlockAndSuccessForgives) {
    ClientGuard guard(small_limits());
    const IpAddress one = address("192.0.2.1");
    const auto first = guard.failed(one);
    EXPECT_GT(first.count(), 0);
    EXPECT_FALSE(guard.blocked(one));
    EXPECT_GT(guard.failed(one), first);
    EXPECT_TRUE(guard.blocked(one));
    EXPECT_EQ(guard.enter(one), Verdict::TooManyFailures);
    EXPECT_FALSE(guard.blocked(address("192.0.2.2")));
    guard.succeeded(one);
    EXPECT_FALSE(guard.blocked(one));
}

TEST(ClientGuard, LeavingMoreOftenThanEnteringHarmsNothing) {
    ClientGuard guard(small_limits());
    guard.leave(address("192.0.2.1"));
    EXPECT_EQ(guard.connections(), 0U);
}

}  // namespace
}  // namespace muster::frontend
