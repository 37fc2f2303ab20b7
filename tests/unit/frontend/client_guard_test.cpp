#include "frontend/client_guard.h"

#include <gtest/gtest.h>

namespace muster::frontend {
namespace {

using Turn = ClientGuard::Turn;
using Attempt = ClientGuard::Attempt;
using Verdict = ClientGuard::Verdict;

constexpr net::Duration kPatience{3'600'000};

IpAddress address(const char* text) { return *IpAddress::parse(text); }

Turn begin(ClientGuard& guard, const char* client, const char* server) {
    Attempt attempt{};
    return guard.begin(address(client), server, attempt);
}

Limits small_limits() {
    Limits limits;
    limits.connections = 3;
    limits.connections_per_address = 2;
    limits.failures = 2;
    return limits;
}

TEST(ClientGuard, CountsConnectionsOfAnAddressAndOfAll) {
    ClientGuard guard(small_limits(), kPatience);
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
    ClientGuard guard(small_limits(), kPatience);
    EXPECT_EQ(guard.enter(address("2001:db8::1")), Verdict::Welcome);
    EXPECT_EQ(guard.enter(address("2001:db8::2")), Verdict::Welcome);
    EXPECT_EQ(guard.enter(address("2001:db8::3")), Verdict::TooManyFromAddress);
    EXPECT_EQ(guard.enter(address("2001:db8:0:1::1")), Verdict::Welcome);
}

TEST(ClientGuard, FailuresDelayThenBlockAndSuccessForgives) {
    ClientGuard guard(small_limits(), kPatience);
    const IpAddress one = address("192.0.2.1");
    const auto first = guard.failed(one, Attempt::None);
    EXPECT_GT(first.count(), 0);
    Attempt attempt{};
    EXPECT_EQ(guard.begin(one, "a", attempt), Turn::Now);
    EXPECT_GT(guard.failed(one, attempt), first);
    EXPECT_EQ(guard.begin(one, "a", attempt), Turn::Never);
    EXPECT_EQ(guard.enter(one), Verdict::TooManyFailures);
    EXPECT_EQ(begin(guard, "192.0.2.2", "a"), Turn::Now);
    guard.succeeded(one, Attempt::None);
    EXPECT_EQ(guard.begin(one, "a", attempt), Turn::Now);
}

TEST(ClientGuard, AttemptsSideBySideCountLikeThoseInARow) {
    Limits limits = small_limits();
    limits.failures = 4;
    ClientGuard guard(limits, kPatience);
    const IpAddress one = address("192.0.2.1");
    std::vector<Attempt> attempts(20);
    for (Attempt& each : attempts)
        EXPECT_EQ(guard.begin(one, "a", each), Turn::Now);  // nothing is held against it
    guard.failed(one, attempts[0]);
    EXPECT_EQ(begin(guard, "192.0.2.1", "b"), Turn::Later);
    for (std::size_t i = 1; i < 19; ++i) guard.withdrawn(one, attempts[i]);
    Attempt second{};
    EXPECT_EQ(guard.begin(one, "a", second), Turn::Now);  // of three that it may still fail
    EXPECT_EQ(begin(guard, "192.0.2.1", "a"), Turn::Later);
    Attempt third{};
    EXPECT_EQ(guard.begin(one, "b", third), Turn::Now);
    EXPECT_EQ(begin(guard, "192.0.2.1", "c"), Turn::Later);
    for (const Attempt each : {attempts[19], second, third}) guard.failed(one, each);
    EXPECT_EQ(begin(guard, "192.0.2.1", "c"), Turn::Never);
}

TEST(ClientGuard, OneServerThatHangsLeavesRoomForTheOthers) {
    ClientGuard guard(small_limits(), kPatience);
    std::size_t at_one = 0;
    while (begin(guard, "192.0.2.1", "hangs") == Turn::Now) ++at_one;
    EXPECT_EQ(at_one, 32U);
    std::size_t at_other = 0;
    while (begin(guard, "192.0.2.1", "other") == Turn::Now) ++at_other;
    EXPECT_EQ(at_other, 32U);
    EXPECT_EQ(begin(guard, "192.0.2.1", "third"), Turn::Later);
    EXPECT_EQ(begin(guard, "192.0.2.2", "hangs"), Turn::Now);
}

TEST(ClientGuard, WhatWaitsLongForItsServerTakesRoomThereAlone) {
    Limits limits = small_limits();
    limits.failures = 4;
    ClientGuard guard(limits, net::Duration{0});
    const IpAddress one = address("192.0.2.1");
    guard.failed(one, Attempt::None);
    Attempt slow{};
    EXPECT_EQ(guard.begin(one, "hangs", slow), Turn::Now);
    EXPECT_EQ(begin(guard, "192.0.2.1", "hangs"), Turn::Now);
    EXPECT_EQ(begin(guard, "192.0.2.1", "hangs"), Turn::Later);
    for (const char* server : {"a", "b", "c", "d"})
        EXPECT_EQ(begin(guard, "192.0.2.1", server), Turn::Now);
    guard.withdrawn(one, slow);
    EXPECT_EQ(begin(guard, "192.0.2.1", "hangs"), Turn::Now);
}

TEST(ClientGuard, AClientThatDawdlesGainsNoRoom) {
    Limits limits = small_limits();
    limits.failures = 3;
    ClientGuard guard(limits, net::Duration{0});
    const IpAddress one = address("192.0.2.1");
    guard.failed(one, Attempt::None);
    Attempt first{};
    Attempt second{};
    EXPECT_EQ(guard.begin(one, "a", first), Turn::Now);
    EXPECT_EQ(guard.begin(one, "b", second), Turn::Now);
    guard.waits_for_client(one, first, true);
    guard.waits_for_client(one, second, true);
    EXPECT_EQ(begin(guard, "192.0.2.1", "c"), Turn::Later);
    guard.waits_for_client(one, second, false);
    EXPECT_EQ(begin(guard, "192.0.2.1", "c"), Turn::Now);
}

TEST(ClientGuard, OnesOwnAccountDoesNotPayForGuessesWithoutEnd) {
    ClientGuard guard(small_limits(), kPatience);
    const IpAddress one = address("192.0.2.1");
    int guesses = 0;
    while (guesses < 100) {
        guard.enter(one);
        Attempt attempt{};
        if (guard.begin(one, "a", attempt) != Turn::Now) break;
        guard.failed(one, attempt);
        ++guesses;
        if (guard.begin(one, "a", attempt) == Turn::Now) guard.succeeded(one, attempt);
        guard.leave(one);
    }
    EXPECT_EQ(guesses, 4);  // two, and two that were forgiven
}

TEST(ClientGuard, LeavingMoreOftenThanEnteringHarmsNothing) {
    ClientGuard guard(small_limits(), kPatience);
    guard.leave(address("192.0.2.1"));
    EXPECT_EQ(guard.connections(), 0U);
}

}  // namespace
}  // namespace muster::frontend
