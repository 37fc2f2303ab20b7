#include "wire/dsn.h"

#include <gtest/gtest.h>

#include "wire/message.h"

namespace muster::wire::dsn {
namespace {

using namespace std::literals;
using std::chrono::sys_seconds;

constexpr sys_seconds kTime{std::chrono::sys_days{std::chrono::January / 1 / 2030}};
constexpr auto kOriginal = "From: a@b\r\nSubject: hello\r\n\r\nthe body\r\n"sv;

Report report() {
    return {.reporting_mta = "mx1.example",
            .sender = "a@b.example",
            .unique = "4ABC",
            .now = kTime,
            .arrival = kTime - 1h,
            .envid = "QQ+2B314",
            .recipients = {{.final_recipient = "kate@domain1.dom",
                            .orcpt = "rfc822;Kate+2B@domain1.dom",
                            .action = Action::Failed,
                            .status = "5.1.1",
                            .remote_mta = "backend1.example",
                            .diagnostic = "550 5.1.1 no such user",
                            .last_attempt = kTime}},
            .original = kOriginal};
}

TEST(Dsn, failure) {
    EXPECT_EQ(write(report()),
              "From: Mail Delivery System <MAILER-DAEMON@mx1.example>\r\n"
              "To: <a@b.example>\r\n"
              "Subject: Your message could not be delivered\r\n"
              "Date: Tue, 1 Jan 2030 00:00:00 +0000\r\n"
              "Message-ID: <20300101000000.4ABC@mx1.example>\r\n"
              "Auto-Submitted: auto-replied\r\n"
              "MIME-Version: 1.0\r\n"
              "Content-Type: multipart/report; report-type=delivery-status;\r\n"
              "\tboundary=\"=_muster_4ABC\"\r\n"
              "\r\n"
              "--=_muster_4ABC\r\n"
              "Content-Type: text/plain; charset=us-ascii\r\n"
              "\r\n"
              "This is the mail system at mx1.example.\r\n"
              "\r\n"
              "Your message could not be delivered to:\r\n"
              "\r\n"
              "<kate@domain1.dom>\r\n"
              "   backend1.example said: 550 5.1.1 no such user\r\n"
              "\r\n"
              "\r\n"
              "--=_muster_4ABC\r\n"
              "Content-Type: message/delivery-status\r\n"
              "\r\n"
              "Reporting-MTA: dns; mx1.example\r\n"
              "Original-Envelope-Id: QQ+314\r\n"
              "Arrival-Date: Mon, 31 Dec 2029 23:00:00 +0000\r\n"
              "\r\n"
              "Original-Recipient: rfc822; Kate+@domain1.dom\r\n"
              "Final-Recipient: rfc822; kate@domain1.dom\r\n"
              "Action: failed\r\n"
              "Status: 5.1.1\r\n"
              "Remote-MTA: dns; backend1.example\r\n"
              "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
              "Last-Attempt-Date: Tue, 1 Jan 2030 00:00:00 +0000\r\n"
              "\r\n"
              "--=_muster_4ABC\r\n"
              "Content-Type: text/rfc822-headers\r\n"
              "\r\n"
              "From: a@b\r\n"
              "Subject: hello\r\n"
              "\r\n"
              "--=_muster_4ABC--\r\n");
}

TEST(Dsn, actions) {
    auto one = report();
    struct Row {
        Action action;
        std::string_view name;
        std::string_view status;
    };
    for (auto [action, name, status] : {
             Row{Action::Failed, "failed", "5.0.0"},
             Row{Action::Delayed, "delayed", "4.0.0"},
             Row{Action::Delivered, "delivered", "2.0.0"},
             Row{Action::Relayed, "relayed", "2.0.0"},
             Row{Action::Expanded, "expanded", "2.0.0"},
         }) {
        one.recipients[0].action = action;
        for (auto given : {"", "5.1", "9.1.1", "5.1.1\r\nX: y", "5.1.1.1", "5..1", "5.1000.1"}) {
            one.recipients[0].status = given;
            auto text = write(one);
            EXPECT_TRUE(text.contains("\r\nAction: " + std::string(name) +
                                      "\r\nStatus: " + std::string(status) + "\r\n"))
                << given;
        }
    }
    one.recipients[0].action = Action::Delayed;
    one.recipients[0].retry_until = kTime + 24h;
    auto text = write(one);
    EXPECT_TRUE(text.contains("Subject: Your message is delayed\r\n"));
    EXPECT_TRUE(text.contains("Will-Retry-Until: Wed, 2 Jan 2030 00:00:00 +0000\r\n"));
    one.recipients.push_back({.final_recipient = "\"a  b\"@c"});
    text = write(one);
    EXPECT_TRUE(text.contains("Subject: Report on the delivery of your message\r\n"));
    EXPECT_TRUE(text.contains("Final-Recipient: rfc822; \"a  b\"@c\r\n"));
    one.text = "Write to postmaster.\nThank you.";
    EXPECT_TRUE(write(one).contains("\r\nWrite to postmaster.\r\nThank you.\r\n"));
}

TEST(Dsn, returns) {
    auto full = report();
    full.return_full = true;
    auto text = write(full);
    EXPECT_TRUE(text.contains("Content-Type: message/rfc822\r\n\r\n" + std::string(kOriginal)));
    std::string large = std::string(kOriginal) + std::string(kMaxReturned, 'x') + "\r\n";
    full.original = large;
    text = write(full);
    EXPECT_TRUE(text.contains("text/rfc822-headers") && !text.contains("the body"));
    full.original = "";
    EXPECT_TRUE(write(full).contains("message/rfc822"));
    std::string header;
    for (int i = 0; i < 5000; ++i) header += "X: yyyyyyyyyyyyyyyyyyyyyyyyyy\r\n";
    full.original = header;
    EXPECT_LT(write(full).size(), kMaxReturned + 4096);
}

TEST(Dsn, boundary_is_free) {
    auto full = report();
    full.return_full = true;
    full.original = "X: y\r\n\r\n--=_muster_4ABC--\r\n--=_muster_4ABC_1\r\n";
    auto text = write(full);
    EXPECT_TRUE(text.contains("boundary=\"=_muster_4ABC_2\""));
    EXPECT_TRUE(text.ends_with("\r\n--=_muster_4ABC_2--\r\n"));
}

TEST(Dsn, injection) {
    auto evil = "a\r\n\r\n--=_muster\r\nSubject: x\n\r\0\x01"s;
    Report all{.reporting_mta = evil,
               .sender = evil,
               .unique = evil,
               .now = kTime,
               .arrival = kTime,
               .envid = "a+0D+0AEvil: x",
               .recipients = {{.final_recipient = evil,
                               .orcpt = "rfc822;a+0D+0AEvil: x",
                               .status = evil,
                               .remote_mta = evil,
                               .diagnostic = evil}},
               .text = "a\rb\n.\n",
               .original = "A: b\nC: d\re\r\n\nbody\r"};
    for (bool full : {false, true}) {
        all.return_full = full;
        auto text = write(all);
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] == '\n') EXPECT_TRUE(i > 0 && text[i - 1] == '\r');
            if (text[i] == '\r') EXPECT_EQ(text[i + 1], '\n');
        }
        EXPECT_FALSE(text.contains("\r\nSubject: x"));
        EXPECT_FALSE(text.contains("\r\nEvil"));
        auto summary = summarise_header(text);
        EXPECT_TRUE(summary.complete && summary.from && summary.subject);
    }
}

TEST(Dsn, long_lines) {
    std::string longest(5000, 'x');
    Report all{
        .reporting_mta = longest,
        .sender = longest,
        .unique = longest,
        .now = kTime,
        .recipients = {{.final_recipient = longest, .remote_mta = longest, .diagnostic = longest}},
        .text = longest};
    auto text = write(all);
    for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(rest.find('\n') + 1))
        EXPECT_LE(rest.find('\n'), 999);
    all.recipients.assign(kMaxRecipients + 7, {.final_recipient = "a@b"});
    EXPECT_TRUE(write(all).contains("more recipients: 7."));
}

TEST(Dsn, utf8) {
    auto one = report();
    EXPECT_FALSE(needs_utf8(one));
    one.recipients[0].final_recipient = "ä@domain1.dom";
    one.recipients[0].orcpt = "utf-8;pel\\x{E9}@b";
    EXPECT_TRUE(needs_utf8(one));
    auto text = write(one);
    for (auto part :
         {"Content-Type: message/global-delivery-status\r\n",
          "Content-Type: message/global-headers\r\n", "Content-Transfer-Encoding: 8bit\r\n",
          "charset=utf-8", "Final-Recipient: utf-8; ä@domain1.dom\r\n",
          "Original-Recipient: utf-8; pel\\x{E9}@b\r\n"})
        EXPECT_TRUE(text.contains(part)) << part;
    auto eight = report();
    eight.return_full = true;
    eight.original = "A: b\r\n\r\n\xff\r\n";
    EXPECT_TRUE(write(eight).contains("message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n"));
}

}  // namespace
}  // namespace muster::wire::dsn
