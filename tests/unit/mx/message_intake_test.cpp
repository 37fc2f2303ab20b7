// A message on its way in, however it is cut: what is put above it, what is taken out, what
// refuses.

#include "mx/message_intake.h"

#include <gtest/gtest.h>

#include "queue/checksum.h"
#include "wire/message.h"

namespace muster::mx {
namespace {

class MessageIntakeTest : public testing::Test {
protected:
    static Trace trace() {
        return {.received = "Received: here\r\n", .own_results = "mx.example.org"};
    }
    /// The text as it is kept, or the refusal's text.
    static std::string kept(
        std::expected<std::shared_ptr<const queue::Content>, wire::smtp::Refusal> finished) {
        if (!finished) return "refused: " + std::string(finished.error().text);
        return std::string((*finished)->memory());
    }
    std::string after_data(std::string_view wire, std::size_t piece, Trace above = trace()) {
        MessageIntake intake(queue::Body(1 << 20, {}), settings_, std::move(above));
        while (!intake.done() && !wire.empty()) {
            const std::size_t taken = intake.feed_data(wire.substr(0, piece));
            wire.remove_prefix(taken);
        }
        EXPECT_TRUE(intake.done());
        return kept(intake.finish());
    }
    std::string in_chunks(std::string_view wire, std::size_t piece) {
        MessageIntake intake(queue::Body(1 << 20, {}), settings_, trace());
        for (; !wire.empty(); wire.remove_prefix(std::min(piece, wire.size()))) {
            intake.feed_chunk(wire.substr(0, piece));
        }
        return kept(intake.finish());
    }

    Settings settings_;
};

TEST_F(MessageIntakeTest, IsTheSameHoweverItIsCut) {
    const std::string text =
        "A: b\r\nAuthentication-Results: MX.example.org;\r\n spf=pass\r\nC: "
        "d\r\n\r\n..dot\r\nend\r\n";
    const std::string expected = "Received: here\r\nA: b\r\nC: d\r\n\r\n";
    for (std::size_t piece = 1; piece <= text.size(); ++piece) {
        EXPECT_EQ(after_data(text + ".\r\n", piece), expected + ".dot\r\nend\r\n") << piece;
        EXPECT_EQ(in_chunks(text, piece), expected + "..dot\r\nend\r\n") << piece;
    }
}

TEST_F(MessageIntakeTest, HasNoBodyOrNoHeader) {
    EXPECT_EQ(after_data(".\r\n", 9), "Received: here\r\n");
    EXPECT_EQ(after_data("A: b\r\n.\r\n", 3), "Received: here\r\nA: b\r\n");
    EXPECT_EQ(after_data("\r\nbody\r\n.\r\n", 1), "Received: here\r\n\r\nbody\r\n");
    EXPECT_EQ(in_chunks("", 1), "Received: here\r\n");
}

TEST_F(MessageIntakeTest, ResultsStandOnTopAndTrustedOnesStay) {
    Trace above = trace();
    above.authentication = "Authentication-Results: mx.example.org; auth=pass\r\n";
    above.own_results.clear();
    EXPECT_EQ(after_data("Authentication-Results: mx.example.org; spf=pass\r\n\r\n.\r\n", 7, above),
              "Authentication-Results: mx.example.org; auth=pass\r\nReceived: here\r\n"
              "Authentication-Results: mx.example.org; spf=pass\r\n\r\n");
}

TEST_F(MessageIntakeTest, FieldsOfOursAreNotContinued) {
    EXPECT_EQ(after_data(" forged=pass\r\nA: b\r\n\r\n.\r\n", 1),
              "Received: here\r\n\r\n forged=pass\r\nA: b\r\n\r\n");
    EXPECT_EQ(in_chunks("\tforged=pass\r\n", 20), "Received: here\r\n\r\n\tforged=pass\r\n");
}

TEST_F(MessageIntakeTest, CompletesWhatClientsLeaveOut) {
    Trace above = trace();
    above.complete = true;
    above.date = "now";
    above.message_id = "<own@id>";
    EXPECT_EQ(after_data("A: b\r\n\r\n.\r\n", 1, above),
              "Received: here\r\nDate: now\r\nMessage-ID: <own@id>\r\nA: b\r\n\r\n");
    EXPECT_EQ(after_data("date: x\r\nmessage-id: <y>\r\n\r\n.\r\n", 1, above),
              "Received: here\r\ndate: x\r\nmessage-id: <y>\r\n\r\n");
}

TEST_F(MessageIntakeTest, RefusesAtItsEndAndReadsOnUntilThen) {
    EXPECT_EQ(after_data("A: b\r\n\r\nx\ny\r\n.\r\n", 2),
              "refused: A bare CR or LF: lines of mail end with CRLF");
    EXPECT_EQ(in_chunks("A: b\r\n\r\nx\r", 2),
              "refused: A bare CR or LF: lines of mail end with CRLF");
    EXPECT_EQ(in_chunks(std::string_view("A: b\r\n\r\n\0\r\n", 11), 4),
              "refused: A NUL in the message");
    settings_.message_bytes = 10;
    EXPECT_EQ(after_data("A: b\r\n\r\n0123456789\r\n.\r\n", 4),
              "refused: The message is larger than is taken here");
    settings_.message_bytes = 1 << 20;
    settings_.hops = 1;
    EXPECT_EQ(after_data("Received: a\r\n\r\n.\r\n", 4),
              "refused: Too many hops: this message goes round in a circle");
}

TEST_F(MessageIntakeTest, TheChecksumIsOfWhatTheClientSent) {
    const auto checksum = [&](std::string_view received, std::string_view text) {
        Trace above = trace();
        above.received = received;
        MessageIntake intake(queue::Body(1 << 20, {}), settings_, std::move(above));
        intake.feed_chunk(text.substr(0, 3));
        intake.feed_chunk(text.substr(3));
        EXPECT_TRUE(intake.finish());
        return intake.checksum();
    };
    const std::string head = "A: b\r\nAuthentication-Results: mx.example.org; x\r\n\r\n";
    const auto first = checksum("Received: now\r\n", head + "body\r\n");
    EXPECT_EQ(checksum("Received: much later\r\n", head + "body\r\n"), first);
    EXPECT_NE(checksum("Received: now\r\n", head + "b0dy\r\n"), first);
    EXPECT_NE(checksum("Received: now\r\n", "C: b" + head.substr(4) + "body\r\n"), first);
    EXPECT_EQ(first & 0xffffffff, queue::crc32c(0, "body\r\n"));
    EXPECT_EQ(first >> 32, queue::crc32c(0, head));
}

TEST_F(MessageIntakeTest, TheLargestHeaderIsTakenHoweverItIsCut) {
    std::string header;
    while (header.size() < wire::kMaxHeaderBlock - 20) header += "A: bcdefghijklmn\r\n";
    header.resize(wire::kMaxHeaderBlock - 4, 'x');
    const std::string whole = header + "\r\n\r\n" + "body\r\n";
    for (const std::size_t piece : {std::size_t{1000}, whole.size()}) {
        EXPECT_TRUE(in_chunks(whole, piece) == "Received: here\r\n" + whole) << piece;
    }
    EXPECT_EQ(in_chunks("A: b\r\n" + whole, whole.size()),
              "refused: The header is larger than is taken here");
}

TEST_F(MessageIntakeTest, AHeaderWithoutEndIsBounded) {
    MessageIntake intake(queue::Body(1 << 20, {}), settings_, trace());
    const std::string line = "X-Long: " + std::string(990, 'x') + "\r\n";
    for (int i = 0; i < 300; ++i) intake.feed_chunk(line);
    EXPECT_TRUE(intake.refusal());
    EXPECT_EQ(kept(intake.finish()), "refused: The header is larger than is taken here");
}

}  // namespace
}  // namespace muster::mx
