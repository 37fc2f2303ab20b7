#include "frontend/client_guard.h"

#include <gtest/gtest.h>

namespace muster::frontend {
namespace {

using Turn = ClientGuard::Turn;
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
    EXPECT_EQ(guard.begin(one), Turn::Now);
    EXPECT_GT(guard.failed(one), first);
    EXPECT_EQ(guard.begin(one), Turn::Never);
    EXPECT_EQ(guard.enter(one), Verdict::TooManyFailures);
    EXPECT_EQ(guard.begin(address("192.0.2.2")), Turn::Now);
    guard.succeeded(one);
    EXPECT_EQ(guard.begin(one), Turn::Now);
}

TEST(ClientGuard, AttemptsSideBySideCountLikeThoseInARow) {
    Limits limits = small_limits();
    limits.failures = 3;
    ClientGuard guard(limits);
    const IpAddress one = address("192.0.2.1");
    for (int i = 0; i < 20; ++i)
        EXPECT_EQ(guard.begin(one), Turn::Now);  // nothing is held against it
    guard.failed(one);
    EXPECT_EQ(guard.begin(one), Turn::Later);
    for (int i = 0; i < 18; ++i) guard.withdrawn(one);
    EXPECT_EQ(guard.begin(one), Turn::Now);  // the second of two that it may still fail
    EXPECT_EQ(guard.begin(one), Turn::Later);
    guard.failed(one);
    guard.failed(one);
    EXPECT_EQ(guard.begin(one), Turn::Never);
}

TEST(ClientGuard, OnesOwnAccountDoesNotPayForGuessesWithoutEnd) {
    ClientGuard guard(small_limits());
    const IpAddress one = address("192.0.2.1");
    int guesses = 0;
    while (guesses < 100) {
        guard.enter(one);
        if (guard.begin(one) != Turn::Now) break;
        guard.failed(one);
        ++guesses;
        if (guard.begin(one) == Turn::Now) guard.succeeded(one);
        guard.leave(one);
    }
    EXPECT_EQ(guesses, 4);  // two, and two that were forgiven
}

TEST(ClientGuard, LeavingMoreOftenThanEnteringHarmsNothing) {
    ClientGuard guard(small_limits());
    guard.leave(address("192.0.2.1"));
    EXPECT_EQ(guard.connections(), 0U);
}

}  // namespace
}  // namespace muster::frontend
