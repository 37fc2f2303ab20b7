// What stands in reports to senders.

#include "delivery/reports.h"

#include <gtest/gtest.h>

namespace muster::delivery {
namespace {

std::string report_of(ReportItem item) {
    queue::Envelope about;
    about.sender = "s@else.test";
    item.recipient = {.address = "a@one.test",
                      .notify = queue::notify::kSuccess | queue::notify::kFailure};
    const auto made = make_report(about, "Subject: x\r\n\r\n", {item}, "fe1.test",
                                  queue::QueueId("x"), queue::now());
    return made ? made->text : std::string();
}

TEST(Reports, AServersAnswerHasItsCodeAndItsHostAlone) {
    const std::string text = report_of({.status = "5.1.1",
                                        .server = "mx.example.net[192.0.2.1]:25",
                                        .diagnostic = "550 5.1.1 nobody"});
    EXPECT_TRUE(text.contains("\r\nRemote-MTA: dns; mx.example.net\r\n")) << text;
    EXPECT_TRUE(text.contains("\r\nDiagnostic-Code: smtp; 550 5.1.1 nobody\r\n")) << text;
    const std::string literal = report_of(
        {.status = "5.1.1", .server = "2001:db8::1[2001:db8::1]:25", .diagnostic = "550 no"});
    EXPECT_TRUE(literal.contains("\r\nRemote-MTA: dns; [IPv6:2001:db8::1]\r\n")) << literal;
}

TEST(Reports, WhatWeFoundIsNoServersAnswer) {
    const std::string text = report_of({.status = "4.4.7",
                                        .server = "mx.example.net[192.0.2.1]:25",
                                        .diagnostic = "Could not be delivered in time"});
    EXPECT_FALSE(text.contains("Remote-MTA")) << text;
    EXPECT_FALSE(text.contains("Diagnostic-Code")) << text;
    EXPECT_TRUE(text.contains("Could not be delivered in time")) << text;
}

TEST(Reports, AMailboxIsTheEndAndAnotherServerIsNot) {
    const ReportItem item{.outcome = queue::Outcome::Delivered,
                          .status = "2.0.0",
                          .server = "be1",
                          .diagnostic = "250 2.0.0 saved"};
    EXPECT_TRUE(report_of(item).contains("\r\nAction: relayed\r\n"));
    ReportItem last = item;
    last.in_mailbox = true;
    EXPECT_TRUE(report_of(last).contains("\r\nAction: delivered\r\n"));
}

}  // namespace
}  // namespace muster::delivery
