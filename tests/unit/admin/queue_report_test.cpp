#include "admin/queue_report.h"

#include <gtest/gtest.h>

#include "admin/peer_answers.h"

namespace muster::admin {
namespace {

using nlohmann::json;

TEST(QueueReport, ReadsTimeSpans) {
    EXPECT_EQ(parse_age("90").value(), std::chrono::seconds(90));
    EXPECT_EQ(parse_age("90s").value(), std::chrono::seconds(90));
    EXPECT_EQ(parse_age("15m").value(), std::chrono::minutes(15));
    EXPECT_EQ(parse_age("4h").value(), std::chrono::hours(4));
    EXPECT_EQ(parse_age("2d").value(), std::chrono::days(2));
    for (const char* text : {"", "h", "4w", "-1h", "1h ", "18446744073709551615d", "99999d"}) {
        EXPECT_EQ(parse_age(text).error().kind, ErrorKind::Syntax) << text;
    }
}

Result<queue::Filter> filter_of(const json& fields) {
    return queue_filter([&fields](const char* name) { return fields.value(name, ""); },
                        queue::Time(std::chrono::hours(100)));
}

TEST(QueueReport, FilterTakesAgesAndServers) {
    const auto filter = filter_of({{"older", "4h"}, {"server", "sv1"}, {"state", "held"}});
    ASSERT_TRUE(filter);
    EXPECT_EQ(filter->destination, "server:sv1");
    EXPECT_EQ(filter->arrived_before, queue::Time(std::chrono::hours(96)));
    EXPECT_FALSE(filter->arrived_after);
    EXPECT_EQ(filter->state, queue::MessageState::Held);
    EXPECT_FALSE(filter_of({{"state", "asleep"}}));
    EXPECT_FALSE(filter_of({{"newer", "soon"}}));
}

queue::Summary summary(const char* id, queue::MessageState state, std::int64_t arrived) {
    queue::Summary message;
    message.id = queue::QueueId(id);
    message.state = state;
    message.arrived = queue::Time(std::chrono::seconds(arrived));
    message.addresses = {"a@example.org", "b@example.org"};
    message.recipients = 2;
    return message;
}

TEST(QueueReport, ARowOfAListIsWhatOtherNodesExpect) {
    auto message = summary("01k3xq0m2v7f3b9a1c2d", queue::MessageState::Parked, 1'800'000'000);
    message.addresses.resize(100, "x@example.org");
    message.recipients = 100;
    const json row = shown(message, "fe1");
    EXPECT_EQ(row["recipients"].size(), kShownRecipients);
    EXPECT_EQ(row["recipient_count"], 100);
    EXPECT_EQ(row["arrived"], 1'800'000'000);
    EXPECT_EQ(row["state"], "parked");
    json page{{"messages", json::array({row})}, {"next", ""}, {"looked_at", 1}};
    EXPECT_TRUE(tells_queue(page));
    page["messages"][0]["recipients"] = "many";
    EXPECT_FALSE(tells_queue(page));
    EXPECT_FALSE(tells_queue({{"messages", json::array()}}));
    EXPECT_TRUE(tells_changed({{"changed", 3U}}));
    EXPECT_FALSE(tells_changed({{"changed", -3}}));
}

TEST(QueueReport, TellsWhereEachRecipientStands) {
    queue::QueuedMessage message;
    message.id = queue::QueueId("01k3xq0m2v7f3b9a1c2d");
    message.envelope.recipients = {{.address = "a@example.org"}, {.address = "b@example.org"}};
    message.states.resize(2);
    message.states[1].kind = queue::RecipientState::Kind::Failed;
    message.states[1].last = {.recipient = 1,
                              .outcome = queue::Outcome::Failed,
                              .status = "5.1.1",
                              .server = "mx.example.org",
                              .text = "550 unknown"};
    message.content = queue::Content::of("Subject: x\r\n\r\n");
    const json row = shown(message, {}, "fe1");
    EXPECT_TRUE(tells_queued(row));
    EXPECT_EQ(row["size"], 14);
    EXPECT_EQ(row["recipients"][0]["state"], "open");
    EXPECT_FALSE(row["recipients"][0].contains("last"));
    EXPECT_EQ(row["recipients"][1]["state"], "failed");
    EXPECT_EQ(row["recipients"][1]["last"]["text"], "550 unknown");
    EXPECT_FALSE(row.contains("text"));
}

TEST(QueueReport, TheOldestMessageThatIsNotHeldCounts) {
    queue::Schedule schedule{queue::RetrySettings{}};
    EXPECT_FALSE(oldest_waiting(schedule));
    schedule.add(summary("01k3xq0m2v7f3b9a1c20", queue::MessageState::Held, 100));
    EXPECT_FALSE(oldest_waiting(schedule));
    schedule.add(summary("01k3xq0m2v7f3b9a1c21", queue::MessageState::Waiting, 200));
    schedule.add(summary("01k3xq0m2v7f3b9a1c22", queue::MessageState::Waiting, 300));
    EXPECT_EQ(oldest_waiting(schedule), queue::Time(std::chrono::seconds(200)));
}

TEST(QueueAlarms, SayWhatIsWrong) {
    QueueState state;
    state.loading.done = true;
    state.oldest = kOldMessage;
    EXPECT_TRUE(queue_alarms(state).empty());
    state.oldest = kOldMessage + std::chrono::seconds(1);
    ASSERT_EQ(queue_alarms(state).size(), 1U);
    EXPECT_EQ(queue_alarms(state)[0].text, "holds mail that waits for more than 4 hours");
    state.accepts = fail(ErrorKind::Limit, "the disk is full");
    state.loading.done = false;
    ASSERT_EQ(queue_alarms(state).size(), 3U);
    EXPECT_EQ(queue_alarms(state)[0].text, "has no room: the disk is full");
    EXPECT_TRUE(queue_alarms(state)[0].severe);
    EXPECT_FALSE(queue_alarms(state)[1].severe);
    state.owned = false;
    EXPECT_TRUE(queue_alarms(state)[0].text.starts_with("was taken over"));
    EXPECT_EQ(queue_alarms(state).size(), 3U);
}

}  // namespace
}  // namespace muster::admin
