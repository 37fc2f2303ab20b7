// A queue file says again what was written, and a file that was not written to its end is seen.

#include "queue/message_file.h"

#include <gtest/gtest.h>

#include "queue/checksum.h"

namespace muster::queue {
namespace {

using namespace std::chrono_literals;

const QueueId kId("01k3xq0m2v7f3b9a1c2d");

Envelope full_envelope() {
    Envelope envelope;
    envelope.sender = "a b%@example.org";
    envelope.ret = Return::Headers;
    envelope.envid = "QQ 314159\n";
    envelope.smtputf8 = true;
    envelope.body8bit = true;
    envelope.kind = Kind::Dsn;
    envelope.route_class = "mx";
    envelope.client_address = "2001:db8::1";
    envelope.client_name = "client.example.org";
    envelope.helo = "[192.0.2.1]";
    envelope.login = "grüße@example.org";
    envelope.session = SessionId("s-1");
    envelope.arrived = Time(1'790'000'000'123ms);
    envelope.expires = Time(1'790'432'000'123ms);
    envelope.hold = true;
    envelope.recipients = {
        {"x@example.net", notify::kSuccess | notify::kDelay, "rfc822;x y@example.net", true, true},
        {"\"q u\"@example.net", notify::kNever, "", false},
        {"plain@example.com", 0, "", false}};
    return envelope;
}

std::string file_of(const Envelope& envelope, std::string_view body, std::size_t head = 0) {
    const FileText text = render(kId, envelope, body.size(), crc32c(0, body), head);
    return text.head + std::string(body) + text.tail;
}

Result<FileContents> parse_whole(std::string_view file) {
    const auto layout = parse_layout(file);
    if (!layout) return std::unexpected(layout.error());
    if (file.size() < layout->tail()) return fail(ErrorKind::Corrupt, "short");
    return parse_file(file.substr(0, layout->head), file.substr(layout->tail()));
}

TEST(Crc32c, OfTheUsualCheckText) {
    EXPECT_EQ(crc32c(0, "123456789"), 0xe3069283u);
    EXPECT_EQ(crc32c(crc32c(0, "1234"), "56789"), 0xe3069283u);
    EXPECT_EQ(crc32c(0, ""), 0u);
}

TEST(MessageFile, SaysAgainWhatWasWritten) {
    const auto read = parse_whole(file_of(full_envelope(), "From: x\r\n\r\nbody"));
    ASSERT_TRUE(read) << read.error().detail;
    EXPECT_EQ(read->envelope, full_envelope());
    EXPECT_EQ(read->layout.id, kId);
    EXPECT_EQ(read->layout.size, 15u);
    EXPECT_EQ(read->open_recipients(), 3u);
}

TEST(MessageFile, NullSenderAndEmptyMessage) {
    Envelope envelope;
    envelope.recipients = {{.address = "x@example.net"}};
    const auto read = parse_whole(file_of(envelope, ""));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->envelope, envelope);
}

TEST(MessageFile, APersonCanReadIt) {
    const std::string file = file_of(full_envelope(), "From: x\r\n\r\nbody\r\n");
    EXPECT_TRUE(file.starts_with("muster-queue 1\nid 01k3xq0m2v7f3b9a1c2d\nsize 000000000017 "));
    EXPECT_NE(file.find("\narrived 2026-09-21T14:13:20.123Z\n"), std::string::npos) << file;
    EXPECT_NE(file.find("\nrecipient x@example.net notify=success,delay "
                        "orcpt=rfc822;x%20y@example.net forwarded inline\n"),
              std::string::npos);
    EXPECT_NE(file.find("\n-- message\nFrom: x\r\n\r\nbody\r\n\n-- results\n"), std::string::npos);
}

TEST(MessageFile, AReservedHeadIsFilledExactlyAndTheRestStandsBehind) {
    Envelope envelope = full_envelope();
    for (const std::size_t recipients : {1u, 50u, 3000u}) {
        envelope.recipients.clear();
        for (std::size_t i = 0; i < recipients; ++i) {
            envelope.recipients.push_back({.address = std::to_string(i) + "@example.net"});
        }
        const FileText text = render(kId, envelope, 5, crc32c(0, "hello"), 4096);
        EXPECT_EQ(text.head.size(), 4096u);
        const auto read = parse_file(text.head, text.tail);
        ASSERT_TRUE(read) << read.error().detail;
        EXPECT_EQ(read->envelope, envelope);
    }
    envelope.helo.assign(4096, 'h');  // even the fields have no room
    const FileText text = render(kId, envelope, 5, crc32c(0, "hello"), 4096);
    EXPECT_EQ(text.head.size(), 4096u);
    ASSERT_TRUE(parse_file(text.head, text.tail));
    EXPECT_EQ(parse_file(text.head, text.tail)->envelope, envelope);
}

TEST(MessageFile, CutAnywhereItIsNoMessage) {
    for (const std::size_t head : {0u, 4096u}) {
        Envelope envelope = full_envelope();
        if (head != 0) envelope.helo.assign(4000, 'h');
        const std::string file = file_of(envelope, "From: x\r\n\r\nbody\n-- results\n", head);
        ASSERT_TRUE(parse_whole(file));
        for (std::size_t length = 0; length < file.size(); ++length) {
            EXPECT_FALSE(parse_whole(std::string_view(file).substr(0, length))) << length;
        }
    }
}

TEST(MessageFile, ResultsAreReplayed) {
    std::string file = file_of(full_envelope(), "body");
    const std::size_t tail = parse_layout(file)->tail();
    append_result(file, {0, Outcome::Deferred, Time(1s), "4.4.1", "", "timed\nout 100%"});
    append_result(file, {0, Outcome::Deferred, Time(2s), "", "mx.example.net", "451 later"});
    append_mark(file, Mark::Attempt, Time(2s));
    append_mark(file, Mark::DelayNotice, Time(3s));
    append_result(file, {1, Outcome::Delivered, Time(4s), "2.0.0", "mx", "250 ok"});
    append_result(file, {2, Outcome::Failed, Time(5s), "5.1.1", "mx", "550 no"});
    append_result(file, {99, Outcome::Failed, Time(5s), "5.1.1", "mx", "nobody's"});
    file += "a line of a later version\n2026-13-01T00:00:00.000Z 0 failed - - x\n";
    const std::size_t whole = file.size() - tail;
    file += "1970-01-01T00:00:06.000Z 0 delivered 2.0.0 mx 250 o";  // torn
    const auto read = parse_whole(file);
    ASSERT_TRUE(read) << read.error().detail;
    EXPECT_EQ(read->states[0].kind, RecipientState::Kind::Open);
    EXPECT_EQ(read->states[0].tries, 2u);
    EXPECT_EQ(read->states[0].last.text, "451 later");
    EXPECT_EQ(read->states[0].last.server, "mx.example.net");
    EXPECT_EQ(read->states[1].kind, RecipientState::Kind::Delivered);
    EXPECT_EQ(read->states[2].kind, RecipientState::Kind::Failed);
    EXPECT_EQ(read->states[2].last,
              (RecipientResult{2, Outcome::Failed, Time(5s), "5.1.1", "mx", "550 no"}));
    EXPECT_EQ(read->tries, 1u);
    EXPECT_EQ(read->last_try, Time(2s));
    EXPECT_TRUE(read->delay_notice);
    EXPECT_EQ(read->whole, whole);
}

TEST(MessageFile, TextsCannotMakeLines) {
    std::string lines;
    append_result(lines, {0, Outcome::Failed, Time(1s), "5.0.0 x\n", "a b\n",
                          "550 no\r\n1970-01-01T00:00:06.000Z 1 delivered 2.0.0 mx ok"});
    EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 1);
    Envelope envelope;
    envelope.sender = "x>\nrecipients 0\n";
    envelope.helo = "\n-- message\n";
    envelope.recipients = {{.address = "y@example.net notify=never\n"}};
    const auto read = parse_whole(file_of(envelope, "text"));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->envelope, envelope);
}

TEST(QueueIds, AreUniqueSortByTimeAndTellIt) {
    QueueIds ids(NodeName("mx1"));
    const Time time = now();
    const QueueId first = ids.next(time);
    const QueueId second = ids.next(time + 1ms);
    EXPECT_EQ(first.text.size(), kQueueIdLength);
    EXPECT_LT(first, second);
    EXPECT_NE(ids.next(time), ids.next(time));
    EXPECT_EQ(time_of(first), time);
    EXPECT_LE(first_id_at(time), first);
    EXPECT_GT(first_id_at(time + 1ms), first);
    EXPECT_TRUE(ids.gave(ids.next()));
    EXPECT_FALSE(ids.gave(QueueIds(NodeName("mx2")).next()));
    EXPECT_FALSE(parse_queue_id("../../../etc/passwd0"));
    EXPECT_FALSE(parse_queue_id(first.text + "0"));
}

}  // namespace
}  // namespace muster::queue
