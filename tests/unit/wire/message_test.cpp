#include "wire/message.h"

#include <gtest/gtest.h>

namespace muster::wire {
namespace {

using namespace std::literals;
using std::chrono::sys_seconds;

constexpr sys_seconds kTime{std::chrono::sys_days{std::chrono::January / 1 / 2030} + 3661s};

TEST(HeaderReader, fields) {
    auto message = "From: a@b\r\nX : 1\r\n\t2\r\n  3\r\nEmpty:\r\n\r\nBody: x\r\n"sv;
    HeaderReader reader(message);
    auto from = reader.next();
    ASSERT_TRUE(from);
    EXPECT_EQ(from->name, "From");
    EXPECT_EQ(from->value, " a@b");
    auto folded = reader.next();
    ASSERT_TRUE(folded);
    EXPECT_EQ(folded->name, "X");
    EXPECT_EQ(folded->value, " 1\r\n\t2\r\n  3");
    EXPECT_EQ(folded->whole, "X : 1\r\n\t2\r\n  3\r\n");
    EXPECT_EQ(reader.next()->value, "");
    EXPECT_FALSE(reader.next());
    EXPECT_FALSE(reader.next());
    EXPECT_TRUE(reader.complete());
    EXPECT_EQ(message.substr(reader.size()), "Body: x\r\n");
}

TEST(HeaderSummary, blocks) {
    auto all = summarise_header(
        "Received: x\r\nRECEIVED: y\r\n z\r\nReceived-SPF: x\r\ndate: x\r\nMessage-Id: x\r\n"
        "From: x\r\nSender: x\r\nCc: x\r\nSubject: x\r\n\r\nReceived: body\r\n");
    EXPECT_EQ(all.received, 2);
    EXPECT_TRUE(all.date && all.message_id && all.from && all.sender && all.to && all.subject);
    EXPECT_TRUE(all.complete);
    struct Row {
        std::string_view message;
        std::size_t size;
        bool complete;
        bool from;
    };
    for (auto [message, size, complete, from] : {
             Row{"", 0, false, false},
             Row{"\r\nFrom: x\r\n", 2, true, false},
             Row{"\nFrom: x\r\n", 1, true, false},
             Row{"From: x\r\n", 9, false, true},
             Row{"From: x", 0, false, false},
             Row{"From: x\r\nno field\r\n", 9, true, true},
             Row{" folded\r\nFrom: x\r\n", 0, true, false},
             Row{"From : x\n\nbody", 10, true, true},
             Row{": x\r\n", 0, true, false},
             Row{"Fr\xc3om: x\r\n", 0, true, false},
         }) {
        auto summary = summarise_header(message);
        EXPECT_EQ(summary.size, size) << message;
        EXPECT_EQ(summary.complete, complete) << message;
        EXPECT_EQ(summary.from, from) << message;
    }
    std::string longer(kMaxHeaderBlock + 1000, 'x');
    longer.replace(0, 9, "From: x\r\n");
    EXPECT_EQ(summarise_header(longer).size, 9);
    EXPECT_FALSE(summarise_header(longer).complete);
}

TEST(HeaderValues, unfolded) {
    auto values = header_values(
        "Delivered-To: a@b\r\nX: y\r\ndelivered-to:\r\n  c@d\r\n\te \r\n\r\nDelivered-To: no\r\n",
        "Delivered-To");
    EXPECT_EQ(values, (std::vector<std::string>{"a@b", "c@d e"}));
    std::string many;
    for (int i = 0; i < 200; ++i) many += "X: " + std::string(1000, 'v') + "\r\n";
    values = header_values(many, "x");
    EXPECT_EQ(values.size(), 100);
    EXPECT_EQ(values[0].size(), kMaxHeaderLine);
}

TEST(Transmission, names) {
    EXPECT_EQ((Transmission{.extended = false}).text(), "SMTP");
    EXPECT_EQ((Transmission{.extended = false, .tls = true}).text(), "SMTP");
    EXPECT_EQ(Transmission{}.text(), "ESMTP");
    EXPECT_EQ((Transmission{.tls = true}).text(), "ESMTPS");
    EXPECT_EQ((Transmission{.tls = true, .authenticated = true}).text(), "ESMTPSA");
    EXPECT_EQ((Transmission{.authenticated = true, .utf8 = true}).text(), "UTF8SMTPA");
    EXPECT_EQ((Transmission{.tls = true, .utf8 = true, .lmtp = true}).text(), "UTF8LMTPS");
    EXPECT_EQ((Transmission{.lmtp = true}).text(), "LMTP");
}

ReceivedLine received() {
    return {.helo = "client.example",
            .client_name = "host.example",
            .client = *IpAddress::parse("192.0.2.1"),
            .host = "mx1.example",
            .with = {.tls = true},
            .tls = "TLSv1.3 TLS_AES_256_GCM_SHA384",
            .id = "4ABC",
            .for_address = "kate@domain1.dom",
            .time = kTime};
}

TEST(Received, line) {
    EXPECT_EQ(write_received(received()),
              "Received: from client.example (host.example [192.0.2.1])\r\n"
              "\tby mx1.example (Muster) with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
              "\tid 4ABC\r\n"
              "\tfor <kate@domain1.dom>; Tue, 1 Jan 2030 01:01:01 +0000\r\n");
    auto line = received();
    line.tls = line.for_address = line.client_name = "";
    line.client = *IpAddress::parse("2001:db8::1");
    line.helo = "no domain";
    EXPECT_EQ(write_received(line),
              "Received: from [IPv6:2001:db8::1] (unknown [IPv6:2001:db8::1])\r\n"
              "\tby mx1.example (Muster) with ESMTPS id 4ABC;\r\n"
              "\tTue, 1 Jan 2030 01:01:01 +0000\r\n");
    line.client = {};
    EXPECT_TRUE(write_received(line).starts_with("Received: by mx1.example (Muster) with"));
}

TEST(Received, injection) {
    auto evil = "x)\r\nSubject: y\r\n\r\n(;\xc3\x01"sv;
    ReceivedLine line{.helo = evil,
                      .client_name = evil,
                      .client = *IpAddress::parse("192.0.2.1"),
                      .host = evil,
                      .tls = evil,
                      .id = evil,
                      .for_address = evil,
                      .time = kTime};
    auto text = write_received(line);
    EXPECT_EQ(text.find("Subject"), text.find("Subject:?y")) << text;
    EXPECT_FALSE(text.contains("for <"));
    auto summary = summarise_header(text + "\r\n");
    EXPECT_EQ(summary.received, 1);
    EXPECT_EQ(summary.size, text.size() + 2);
    line.for_address = "ä@b";
    EXPECT_FALSE(write_received(line).contains("for <"));
    line.with.utf8 = true;
    EXPECT_TRUE(write_received(line).contains("for <ä@b>;"));
}

TEST(Received, long_values) {
    std::string longest(2000, 'x');
    ReceivedLine line{.helo = longest,
                      .client_name = longest,
                      .client = *IpAddress::parse("192.0.2.1"),
                      .host = longest,
                      .tls = longest,
                      .id = longest,
                      .for_address = longest,
                      .time = kTime};
    std::string_view text = line.helo;
    auto written = write_received(line);
    for (text = written; !text.empty(); text.remove_prefix(text.find('\n') + 1))
        EXPECT_LE(text.find('\n'), kMaxHeaderLine);
}

TEST(Dates, texts) {
    EXPECT_EQ(format_date(sys_seconds{}), "Thu, 1 Jan 1970 00:00:00 +0000");
    EXPECT_EQ(format_date(kTime), "Tue, 1 Jan 2030 01:01:01 +0000");
    EXPECT_EQ(format_date(sys_seconds{1'709'251'199s}), "Thu, 29 Feb 2024 23:59:59 +0000");
    EXPECT_EQ(write_message_id(kTime, "4ABC", "mx1.example"), "<20300101010101.4ABC@mx1.example>");
    EXPECT_EQ(write_message_id(kTime, "a>\r\nb", "c d"), "<20300101010101.a???b@c?d>");
}

TEST(HeaderText, cleaned) {
    EXPECT_EQ(header_text("a\r\nb\tc\x7f", false), "a  b c ");
    EXPECT_EQ(header_text("ä", false), "??");
    EXPECT_EQ(header_text("ä", true), "ä");
    EXPECT_EQ(header_text("ä\xff", true), "???");
}

}  // namespace
}  // namespace muster::wire
