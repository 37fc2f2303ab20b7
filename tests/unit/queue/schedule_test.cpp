// When messages are due, and how destinations hold them back; with a clock of its own.

#include "queue/schedule.h"

#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>
#include <thread>

namespace muster::queue {
namespace {

using namespace std::chrono_literals;
using Group = GroupResult::Kind;

constexpr Time kStart{1'000'000s};

RetrySettings steady() {
    RetrySettings settings;
    settings.jitter = 0.0;
    return settings;
}

class ScheduleTest : public ::testing::Test {
protected:
    QueueId add(std::string recipient = "x@example.net", Time arrived = kStart,
                MessageState state = MessageState::Waiting, std::string sender = "s@example.org") {
        Summary summary;
        summary.id = ids_.next(arrived);
        summary.arrived = arrived;
        summary.expires = arrived + schedule_.settings().expire_after;
        summary.next_try = arrived;
        summary.size = 100;
        summary.open = 1;
        summary.state = state;
        summary.sender = std::move(sender);
        summary.addresses = {std::move(recipient)};
        EXPECT_TRUE(schedule_.add(summary));
        EXPECT_FALSE(schedule_.add(summary));
        return summary.id;
    }
    std::vector<QueueId> due(Time now, std::size_t limit = 100) {
        return schedule_.due(now, limit);
    }
    void settle(const QueueId& id, Group kind, Time now, std::string destination = "mx:d") {
        const GroupResult group{std::move(destination), kind};
        schedule_.settle(id, {&group, 1}, now);
    }
    MessageState state(const QueueId& id) { return schedule_.find(id)->state; }

    QueueIds ids_{NodeName("n")};
    Schedule schedule_{steady()};
};

TEST(RetryPolicy, Delays) {
    const RetrySettings settings = steady();
    const std::vector<std::pair<std::uint32_t, milliseconds>> table = {
        {0, 1min}, {1, 1min}, {2, 5min}, {3, 15min}, {4, 30min},
        {5, 1h},   {6, 2h},   {7, 2h},   {99, 2h}};
    for (const auto& [tries, delay] : table) {
        EXPECT_EQ(next_try(settings, kStart, tries, 0.3), kStart + delay) << tries;
    }
    const std::vector<std::pair<std::uint32_t, milliseconds>> destinations = {
        {1, 15s}, {2, 30s}, {3, 60s}, {6, 480s}, {7, 15min}, {1'000'000, 15min}};
    for (const auto& [failures, delay] : destinations) {
        EXPECT_EQ(destination_until(settings, kStart, failures, 0.3), kStart + delay) << failures;
    }
    RetrySettings varied;
    EXPECT_EQ(next_try(varied, kStart, 1, 0.0), kStart + 54s);
    EXPECT_EQ(next_try(varied, kStart, 1, 0.5), kStart + 60s);
    EXPECT_LT(next_try(varied, kStart, 1, 0.999), kStart + 66s);
    EXPECT_TRUE(expired(kStart, kStart));
    EXPECT_FALSE(expired(kStart, kStart - 1ms));
    EXPECT_EQ(notice_time(settings, kStart), kStart + 4h);
    varied.delay_notice_after = 0ms;
    EXPECT_EQ(notice_time(varied, kStart), Time::max());
}

TEST_F(ScheduleTest, ADestinationsOwnTimesHoldForItsMail) {
    auto own = std::make_shared<RetrySettings>(steady());
    own->delays = {5s, 10s};
    own->destination_first = 5s;
    const QueueId id = add();
    ASSERT_EQ(due(kStart).size(), 1U);
    const std::vector<GroupResult> both{{"host:a", Group::Deferred},
                                        {"host:b/b.dom", Group::Deferred, own}};
    schedule_.settle(id, both, kStart);
    EXPECT_EQ(schedule_.find(id)->next_try, kStart + 5s);  // the soonest
    ASSERT_EQ(due(kStart + 5s).size(), 1U);
    schedule_.unreachable("host:b/b.dom", "gone", kStart + 5s, own.get());
    EXPECT_EQ(schedule_.held_until("host:b/b.dom", kStart + 6s), kStart + 10s);
    const std::vector<GroupResult> rests{{"host:b/b.dom", Group::Unreachable, own}};
    schedule_.settle(id, rests, kStart + 5s);
    EXPECT_EQ(state(id), MessageState::Parked);
    EXPECT_TRUE(due(kStart + 9s).empty());
    EXPECT_EQ(due(kStart + 10s).size(), 1U);
}

TEST_F(ScheduleTest, OtherDeadlinesHoldFromTheTryOn) {
    const QueueId id = add();
    ASSERT_EQ(due(kStart).size(), 1U);
    schedule_.set_deadlines(id, kStart + 40s, Time::max());
    settle(id, Group::Deferred, kStart);
    EXPECT_EQ(schedule_.find(id)->expires, kStart + 40s);
    EXPECT_TRUE(due(kStart + 39s).empty());
    ASSERT_EQ(due(kStart + 40s).size(), 1U);
    schedule_.set_deadlines(id, kStart + 2000h, kStart + 50s);  // changed meanwhile
    settle(id, Group::Deferred, kStart + 40s);
    ASSERT_EQ(due(kStart + 50s).size(), 1U);
    settle(id, Group::Deferred, kStart + 50s);
    EXPECT_EQ(schedule_.find(id)->next_try, kStart + 50s + 15min);
}

TEST_F(ScheduleTest, ADestinationThatRestsGetsWhatWaitsBitByBit) {
    std::vector<QueueId> ids;
    for (int i = 0; i < 3; ++i) ids.push_back(add());
    ASSERT_EQ(due(kStart).size(), 3U);
    schedule_.rest("mx:d", "enough", kStart + 1s);
    for (const QueueId& id : ids) settle(id, Group::Held, kStart);
    EXPECT_EQ(schedule_.find(ids[0])->tries, 0U);
    EXPECT_TRUE(due(kStart + 900ms).empty());
    Time now = kStart + 1s;
    while (!ids.empty()) {  // one a second
        const auto given = due(now);
        ASSERT_FALSE(given.empty());
        schedule_.erase(given.front());
        std::erase(ids, given.front());
        schedule_.rest("mx:d", "enough", now + 1s);
        for (std::size_t i = 1; i < given.size(); ++i) settle(given[i], Group::Held, now);
        EXPECT_TRUE(due(now + 900ms).empty());
        now += 1s;
    }
}

TEST_F(ScheduleTest, OldestFirstAndEachToOneTaker) {
    const QueueId late = add("a@d", kStart + 2s);
    const QueueId early = add("b@d", kStart + 1s);
    EXPECT_TRUE(due(kStart).empty());
    EXPECT_EQ(schedule_.next_due(), kStart + 1s);
    EXPECT_EQ(due(kStart + 5s, 1), std::vector{early});
    EXPECT_EQ(due(kStart + 5s), std::vector{late});
    EXPECT_TRUE(due(kStart + 5s).empty());
    EXPECT_FALSE(schedule_.next_due());
    EXPECT_EQ(state(late), MessageState::Taken);
}

TEST_F(ScheduleTest, ADeferredMessageWaitsLongerAndLonger) {
    const QueueId id = add();
    Time time = kStart;
    for (const milliseconds delay : {milliseconds(1min), milliseconds(5min), milliseconds(15min)}) {
        ASSERT_EQ(due(time), std::vector{id});
        settle(id, Group::Deferred, time);
        EXPECT_TRUE(due(time + delay - 1ms).empty());
        time += delay;
    }
    EXPECT_EQ(schedule_.find(id)->tries, 3u);
}

TEST_F(ScheduleTest, AnUnreachableDestinationHoldsItsMessagesBack) {
    std::vector<QueueId> all;
    for (int i = 0; i < 10; ++i) all.push_back(add());
    const QueueId other = add("o@other");
    ASSERT_EQ(due(kStart).size(), 11u);
    schedule_.unreachable("mx:d", "refused", kStart);
    schedule_.unreachable("mx:d", "refused", kStart + 1s);  // the same outage
    ASSERT_EQ(schedule_.held_until("mx:d", kStart), kStart + 15s);
    settle(all[0], Group::Unreachable, kStart);
    for (std::size_t i = 1; i < 10; ++i) settle(all[i], Group::Held, kStart);
    settle(other, Group::Deferred, kStart, "mx:other");
    EXPECT_EQ(schedule_.find(all[0])->tries, 1u);
    EXPECT_EQ(schedule_.find(all[5])->tries, 0u);
    EXPECT_EQ(schedule_.counts().parked, 10u);
    EXPECT_EQ(schedule_.next_due(), kStart + 15s);
    EXPECT_TRUE(due(kStart + 14s).empty());
    // A probe, not a flood.
    const auto probe = due(kStart + 15s);
    EXPECT_EQ(probe.size(), 2u);
    EXPECT_FALSE(schedule_.held_until("mx:d", kStart + 15s));
    schedule_.unreachable("mx:d", "refused", kStart + 15s);
    EXPECT_EQ(schedule_.held_until("mx:d", kStart + 15s), kStart + 45s);
    for (const QueueId& id : probe) settle(id, Group::Unreachable, kStart + 15s);
    EXPECT_EQ(due(kStart + 45s).size(), 2u);
    // It answers: all may go, whatever their own back-off says.
    schedule_.reached("mx:d", kStart + 46s);
    EXPECT_EQ(due(kStart + 46s).size(), 8u);
    EXPECT_EQ(schedule_.counts().parked, 0u);
}

TEST_F(ScheduleTest, ADueMessageOfARestingDestinationIsParkedUnread) {
    const QueueId id = add();
    ASSERT_EQ(due(kStart).size(), 1u);
    settle(id, Group::Deferred, kStart);
    schedule_.unreachable("mx:d", "refused", kStart + 59s);
    EXPECT_TRUE(due(kStart + 60s).empty());
    EXPECT_EQ(state(id), MessageState::Parked);
    EXPECT_EQ(due(kStart + 74s), std::vector{id});
}

TEST_F(ScheduleTest, ReachedBeforeItWasParkedItIsDueAtOnce) {
    const QueueId id = add();
    ASSERT_EQ(due(kStart).size(), 1u);
    schedule_.unreachable("mx:d", "refused", kStart);
    schedule_.reached("mx:d", kStart);
    settle(id, Group::Held, kStart);
    EXPECT_EQ(due(kStart), std::vector{id});
}

TEST_F(ScheduleTest, BusyMessagesWaitForRoom) {
    const QueueId first = add();
    const QueueId second = add();
    ASSERT_EQ(due(kStart).size(), 2u);
    settle(first, Group::Busy, kStart);
    settle(second, Group::Busy, kStart);
    EXPECT_TRUE(due(kStart + 1s).empty());
    EXPECT_EQ(schedule_.release_parked("mx:d", 1, kStart + 1s), 1u);
    EXPECT_EQ(due(kStart + 1s), std::vector{first});
    EXPECT_EQ(due(kStart + 10s), std::vector{second});  // if nobody told
}

TEST_F(ScheduleTest, OfManyBusyMessagesAFewAreGivenToSee) {
    for (int i = 0; i < 100; ++i) add();
    for (const QueueId& id : due(kStart)) settle(id, Group::Busy, kStart);
    for (int second = 1; second <= 60; ++second) {
        const auto given = due(kStart + second * 1s);
        EXPECT_EQ(given.size(), second % 10 == 0 ? 2U : 0U) << second;
        for (const QueueId& id : given) settle(id, Group::Busy, kStart + second * 1s);
    }
    EXPECT_EQ(due(kStart + 10min).size(), 100U);
}

TEST_F(ScheduleTest, ExpiredAndDelayedMessagesAreGivenWhereverTheyWait) {
    const QueueId id = add();
    Time time = kStart;
    bool told = false;
    int given = 0;
    while (time < kStart + 5 * 24h) {
        schedule_.unreachable("mx:d", "refused", time);
        for (const QueueId& each : due(time)) {
            const auto found = schedule_.find(each);
            if (!found->delay_notice && notice_time(schedule_.settings(), found->arrived) <= time) {
                EXPECT_FALSE(told);
                EXPECT_EQ(time, kStart + 4h);
                told = true;
                schedule_.delay_notice_sent(each);
            }
            settle(each, schedule_.held_until("mx:d", time) ? Group::Held : Group::Unreachable,
                   time);
            ++given;
        }
        ASSERT_TRUE(schedule_.next_due());
        ASSERT_GT(*schedule_.next_due(), time);
        time = *schedule_.next_due();
    }
    EXPECT_TRUE(told);
    EXPECT_LT(given, 5 * 24 * 4 + 20);
    EXPECT_EQ(due(kStart + 5 * 24h), std::vector{id});
    // A taker that forgets about the delay or the expiry is not asked in a loop.
    schedule_.put_back(id, kStart + 6 * 24h);
    EXPECT_TRUE(due(kStart + 5 * 24h).empty());
}

TEST_F(ScheduleTest, HoldReleaseAndFlush) {
    const QueueId id = add();
    EXPECT_TRUE(schedule_.set_held(id, true, kStart));
    EXPECT_TRUE(due(kStart + 100h).empty());
    EXPECT_FALSE(schedule_.flush(id, kStart));
    EXPECT_TRUE(schedule_.set_held(id, false, kStart));
    ASSERT_EQ(due(kStart), std::vector{id});
    EXPECT_FALSE(schedule_.set_held(id, true, kStart));  // being tried
    EXPECT_TRUE(schedule_.flush(id, kStart));            // right after its try
    settle(id, Group::Deferred, kStart);
    ASSERT_EQ(due(kStart), std::vector{id});
    settle(id, Group::Deferred, kStart);
    EXPECT_EQ(schedule_.flush_domain("EXAMPLE.net", kStart), 1u);
    ASSERT_EQ(due(kStart), std::vector{id});
    schedule_.unreachable("mx:d", "refused", kStart);
    settle(id, Group::Unreachable, kStart);
    EXPECT_EQ(schedule_.flush_destination("mx:other", kStart), 0u);
    EXPECT_EQ(schedule_.flush_destination("mx:d", kStart), 1u);
    EXPECT_FALSE(schedule_.held_until("mx:d", kStart));
    ASSERT_EQ(due(kStart), std::vector{id});
    schedule_.unreachable("mx:d", "refused", kStart);
    settle(id, Group::Unreachable, kStart);
    EXPECT_EQ(schedule_.flush_all(kStart), 1u);
    ASSERT_EQ(due(kStart), std::vector{id});
    EXPECT_TRUE(schedule_.erase(id));
    EXPECT_FALSE(schedule_.erase(id));
    EXPECT_EQ(schedule_.counts().messages, 0u);
    EXPECT_EQ(schedule_.counts().bytes, 0u);
}

TEST(RetryDelays, StandBetweenTheFirstAndTheLongest) {
    EXPECT_EQ(retry_delays(1min, 2h), RetrySettings{}.delays);
    EXPECT_EQ(retry_delays(10s, 10min), (std::vector<milliseconds>{10s, 1min, 5min, 10min}));
    EXPECT_EQ(retry_delays(30min, 30min), std::vector<milliseconds>{30min});
    EXPECT_EQ(retry_delays(3h, 1h), std::vector<milliseconds>{1h});
}

TEST_F(ScheduleTest, TellsWhenSomethingIsDueEarlier) {
    int calls = 0;
    schedule_.on_earlier([&] { ++calls; });
    EXPECT_FALSE(schedule_.next_due());
    add("x@d", kStart + 10s);
    EXPECT_EQ(calls, 1);
    add("x@d", kStart + 20s);
    EXPECT_EQ(calls, 1);
    add("x@d", kStart + 5s);
    EXPECT_EQ(calls, 2);
    due(kStart + 30s);
    add("x@d", kStart + 30s);
    EXPECT_EQ(calls, 3);
    int others = 0;
    schedule_.on_earlier([&] { ++others; });  // what waits already is told
    EXPECT_EQ(others, 1);
    schedule_.on_earlier({});
    add("x@d", kStart);
    EXPECT_EQ(calls + others, 4);
}

TEST_F(ScheduleTest, WhoeverHasLeftIsNotCalledAnyMore) {
    std::binary_semaphore called(0);
    std::binary_semaphore leaving(0);
    std::atomic<bool> left = false;
    bool called_after = false;
    schedule_.on_earlier([&] {
        called.release();
        leaving.acquire();
        for (int i = 0; i < 100; ++i) std::this_thread::yield();
        called_after = left;
    });
    std::thread other([&] { add("x@d", kStart); });
    called.acquire();
    leaving.release();
    schedule_.on_earlier({});
    left = true;
    other.join();
    EXPECT_FALSE(called_after);
}

TEST_F(ScheduleTest, ListsByFilterInPages) {
    const QueueId a = add("Alice@Example.net", kStart, MessageState::Waiting, "boss@corp.example");
    const QueueId b = add("bob@sub.example.net", kStart + 1s, MessageState::Held, "");
    const QueueId c = add("carol@example.com", kStart + 2s);
    ASSERT_EQ(due(kStart + 2s).size(), 2u);
    settle(c, Group::Deferred, kStart + 2s, "server:one");
    const auto ids = [&](const Filter& filter) {
        std::vector<QueueId> found;
        for (const Summary& each : schedule_.list(filter, {}, 100).messages)
            found.push_back(each.id);
        return found;
    };
    EXPECT_EQ(ids({}), (std::vector{a, b, c}));
    EXPECT_EQ(ids({.sender = "BOSS@corp.example"}), std::vector{a});
    EXPECT_EQ(ids({.sender = "<>"}), std::vector{b});
    EXPECT_EQ(ids({.recipient = "alice@example.net"}), std::vector{a});
    EXPECT_EQ(ids({.recipient = "*@*example.net"}), (std::vector{a, b}));
    EXPECT_EQ(ids({.domain = "example.net"}), std::vector{a});
    EXPECT_EQ(ids({.domain = "*.net"}), (std::vector{a, b}));
    EXPECT_EQ(ids({.destination = "server:*"}), std::vector{c});
    EXPECT_EQ(ids({.state = MessageState::Taken}), std::vector{a});
    EXPECT_EQ(ids({.arrived_before = kStart + 1s}), std::vector{a});
    EXPECT_EQ(ids({.arrived_after = kStart + 1s}), std::vector{c});
    // Pages: bounded by what is found and by what is looked at.
    Page page = schedule_.list({}, {}, 2);
    EXPECT_EQ(page.messages.size(), 2u);
    EXPECT_EQ(page.next, b);
    page = schedule_.list({}, page.next, 2);
    EXPECT_EQ(page.messages.size(), 1u);
    EXPECT_TRUE(page.next.empty());
    page = schedule_.list({.recipient = "nobody"}, {}, 10, 2);
    EXPECT_EQ(page.looked_at, 2u);
    EXPECT_EQ(page.next, b);
}

TEST(ScheduleHeap, ManyMessagesInOrder) {
    Schedule schedule(steady());
    QueueIds ids(NodeName("n"));
    std::uint32_t value = 1;
    std::vector<QueueId> all;
    for (int i = 0; i < 3000; ++i) {
        value = value * 1664525 + 1013904223;
        Summary summary;
        summary.id = ids.next(kStart + milliseconds(i));
        summary.arrived = kStart;
        summary.next_try = kStart + milliseconds(value % 10'000);
        summary.expires = kStart + 100h;
        summary.addresses = {"x@d"};
        schedule.add(summary);
        all.push_back(summary.id);
    }
    for (std::size_t i = 0; i < all.size(); i += 3) EXPECT_TRUE(schedule.erase(all[i]));
    Time last = kStart;
    std::size_t count = 0;
    for (Time time = kStart; time <= kStart + 10s; time += 100ms) {
        for (const QueueId& id : schedule.due(time, 10'000)) {
            const Time next = schedule.find(id)->next_try;
            EXPECT_LE(last, next);
            EXPECT_LE(next, time);
            last = next;
            ++count;
        }
    }
    EXPECT_EQ(count, 2000u);
}

/// Where a message that was loaded from disk was last tried for is not known before its next try.
TEST_F(ScheduleTest, FlushOfADestinationTakesLoadedMessagesToo) {
    Summary summary;
    summary.id = ids_.next(kStart);
    summary.arrived = kStart;
    summary.expires = kStart + 24h;
    summary.next_try = kStart + 1h;
    summary.tries = 3;
    summary.open = summary.recipients = 1;
    summary.addresses = {"a@example.net"};
    ASSERT_TRUE(schedule_.add(summary));
    EXPECT_TRUE(due(kStart).empty());
    EXPECT_EQ(schedule_.flush_destination("server:sv1", kStart), 1u);
    EXPECT_EQ(due(kStart), std::vector{summary.id});
}

}  // namespace
}  // namespace muster::queue
