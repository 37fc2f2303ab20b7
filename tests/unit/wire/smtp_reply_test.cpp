#include "wire/smtp_reply.h"

#include <gtest/gtest.h>

namespace muster::wire::smtp {
namespace {

/// The reply that these lines make; fails the test when they make none.
Reply read(std::initializer_list<std::string_view> lines) {
    ReplyParser parser;
    std::size_t left = lines.size();
    for (const std::string_view line : lines) {
        const auto complete = parser.add(line);
        EXPECT_TRUE(complete.has_value()) << line;
        EXPECT_EQ(complete.value_or(false), --left == 0) << line;
    }
    return parser.take();
}

TEST(SmtpReply, OneLineWithEnhancedStatus) {
    const Reply reply = read({"550 5.1.1 no such user"});
    EXPECT_EQ(reply.code, 550);
    EXPECT_EQ(reply.enhanced, (EnhancedStatus{5, 1, 1}));
    EXPECT_EQ(reply.text, "no such user");
    EXPECT_TRUE(reply.permanent());
    EXPECT_EQ(reply.enhanced.text(), "5.1.1");
}

TEST(SmtpReply, LinesAreJoinedAndTheStatusKeptOnce) {
    const Reply reply = read({"450-4.2.0 slow", "450-4.2.0 down", "450 4.2.0"});
    EXPECT_EQ(reply.text, "slow\ndown\n");
    EXPECT_TRUE(reply.transient());
}

TEST(SmtpReply, BareCodesAndOddSeparators) {
    EXPECT_EQ(read({"250"}).code, 250);
    EXPECT_EQ(read({"354 "}).text, "");
    EXPECT_TRUE(read({"354 go"}).intermediate());
    // A status of another class than the code's is only text.
    EXPECT_FALSE(read({"250 5.0.0 what"}).enhanced.given());
    EXPECT_EQ(read({"250 5.0.0 what"}).text, "5.0.0 what");
    EXPECT_EQ(read({"250 2.0.0"}).text, "");
}

TEST(SmtpReply, WhatCannotBeShownIsReplaced) {
    EXPECT_EQ(read({"550 a\tb\x01\xc3\xa9"}).text, "a?b???");
}

TEST(SmtpReply, GarbageIsAnError) {
    for (const std::string_view line : {"", "25", "abc hello", "150 wait", "600 no", "2500 no",
                                        "250_no", "+OK", "-250", "25 0"}) {
        EXPECT_FALSE(ReplyParser().add(line).has_value()) << line;
    }
    ReplyParser parser;
    ASSERT_TRUE(parser.add("250-one").has_value());
    EXPECT_FALSE(parser.add("251 two").has_value());
}

TEST(SmtpReply, LinesAndTextAreBounded) {
    ReplyParser parser;
    const std::string line = "250-" + std::string(500, 'x');
    for (unsigned i = 0; i < kMaxReplyLines; ++i) ASSERT_TRUE(parser.add(line).has_value());
    EXPECT_EQ(parser.add(line).error().kind, ErrorKind::Limit);
    EXPECT_LE(parser.take().text.size(), kMaxReplyText);
}

TEST(SmtpReply, EnhancedStatusGrammar) {
    EXPECT_TRUE(EnhancedStatus::parse("4.7.999").has_value());
    for (const std::string_view text :
         {"", "5", "5.1", "5.1.", "3.1.1", "5.1.1234", "5.1.1x", "5..1", "05.1.1.", "55.1.1"}) {
        EXPECT_FALSE(EnhancedStatus::parse(text).has_value()) << text;
    }
}

TEST(ServerExtensions, FromEhlo) {
    const auto extensions = ServerExtensions::from(
        read({"250-SIZE example.net", "250-pipelining", "250-SIZE 10240000", "250-STARTTLS",
              "250-AUTH PLAIN login", "250-AUTH=PLAIN", "250-ENHANCEDSTATUSCODES", "250-8BITMIME",
              "250-DSN", "250-SMTPUTF8", "250-CHUNKING", "250-XCLIENT NAME ADDR ttl",
              "250-XRCPTFORWARD", "250-LIMITS RCPTMAX=50 MAILMAX=x", "250 X-FOO"}));
    EXPECT_TRUE(extensions.pipelining && extensions.starttls && extensions.dsn &&
                extensions.eight_bit_mime && extensions.smtp_utf8 && extensions.chunking &&
                extensions.enhanced_status_codes && extensions.recipient_forward);
    EXPECT_TRUE(extensions.size);
    EXPECT_EQ(extensions.size_limit, 10240000U);
    EXPECT_EQ(extensions.max_recipients, 50U);
    EXPECT_EQ(extensions.max_transactions, 0U);
    EXPECT_TRUE(extensions.offers_auth("LOGIN"));
    EXPECT_FALSE(extensions.offers_auth("SCRAM-SHA-256"));
    EXPECT_TRUE(extensions.takes("TTL"));
    EXPECT_FALSE(extensions.takes("HELO"));
}

TEST(ServerExtensions, TheFirstLineIsAName) {
    EXPECT_FALSE(ServerExtensions::from(read({"250 PIPELINING"})).pipelining);
}

}  // namespace
}  // namespace muster::wire::smtp
