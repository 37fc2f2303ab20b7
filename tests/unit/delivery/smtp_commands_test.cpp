// What servers are told of clients and recipients.

#include "delivery/smtp_commands.h"

#include <gtest/gtest.h>

namespace muster::delivery {
namespace {

wire::smtp::ServerExtensions server() {
    wire::smtp::ServerExtensions extensions;
    extensions.xclient = {"ADDR", "NAME"};
    return extensions;
}

std::string introduced(const ClientFacts& facts) {
    std::string out;
    append_xclient(out, facts, server());
    return out;
}

TEST(SmtpCommands, ANameThatIsNotKnownIsSaidToBe) {
    ClientFacts facts{.client = {*IpAddress::parse("192.0.2.1"), 25}};
    EXPECT_EQ(introduced(facts), "XCLIENT ADDR=192.0.2.1 NAME=[UNAVAILABLE]\r\n");
    facts.no_name_yet = true;
    EXPECT_EQ(introduced(facts), "XCLIENT ADDR=192.0.2.1 NAME=[TEMPUNAVAIL]\r\n");
    facts.name = "a.example\r\nRSET";
    EXPECT_EQ(introduced(facts), "XCLIENT ADDR=192.0.2.1 NAME=a.example??RSET\r\n");
}

TEST(SmtpCommands, ForwardFieldsGoToWhoAsksForThem) {
    const Recipient recipient{.address = "k@example.org", .forward = "a+3Db"};
    std::string out;
    append_rcpt(out, recipient, server());
    EXPECT_EQ(out, "RCPT TO:<k@example.org>\r\n");
    wire::smtp::ServerExtensions dovecot = server();
    dovecot.recipient_forward = true;
    out.clear();
    append_rcpt(out, recipient, dovecot);
    EXPECT_EQ(out, "RCPT TO:<k@example.org> XRCPTFORWARD=a+3Db\r\n");
}

}  // namespace
}  // namespace muster::delivery
