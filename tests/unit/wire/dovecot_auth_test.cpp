#include "wire/dovecot_auth.h"

#include <gtest/gtest.h>

namespace muster::wire::dovecot_auth {
namespace {

using namespace std::literals;

template <typename T>
T parsed(std::string_view line) {
    auto message = parse_message(line);
    EXPECT_TRUE(message && std::holds_alternative<T>(*message)) << line;
    return message && std::holds_alternative<T>(*message) ? std::get<T>(*message) : T{};
}

// The lines below were recorded from Dovecot 2.3.19's auth-client socket.
TEST(DovecotAuth, handshake) {
    EXPECT_EQ(parsed<Version>("VERSION\t1\t2").minor, 2U);
    auto mech = parsed<Mech>("MECH\tPLAIN\tplaintext");
    EXPECT_EQ(mech.name, "PLAIN");
    EXPECT_EQ(mech.flags, std::vector<std::string>{"plaintext"});
    EXPECT_EQ(parsed<Spid>("SPID\t17371").id, "17371");
    EXPECT_EQ(parsed<Cuid>("CUID\t4").id, "4");
    EXPECT_EQ(parsed<Cookie>("COOKIE\t40c24553").hex, "40c24553");
    parsed<Done>("DONE");
    EXPECT_EQ(parsed<Other>("NEWS\tx").name, "NEWS");
    EXPECT_EQ(write_handshake(4242), "VERSION\t1\t2\nCPID\t4242\n");
}

TEST(DovecotAuth, replies) {
    EXPECT_EQ(parsed<Ok>("OK\t1\tuser=kate").user(), "kate");
    auto ok = parsed<Ok>("OK\t9\tuser=a\001tb\tresp=dj0=\tflag");
    EXPECT_EQ(ok.id, 9U);
    EXPECT_EQ(ok.user(), "a\tb");
    EXPECT_EQ(ok.field("resp"), "dj0=");
    EXPECT_EQ(ok.field("flag"), "");
    EXPECT_FALSE(ok.field("none"));
    EXPECT_EQ(parsed<Continue>("CONT\t3\tVXNlcm5hbWU6").data, "VXNlcm5hbWU6");
    EXPECT_EQ(parsed<Continue>("CONT\t3").data, "");
    EXPECT_FALSE(parsed<Fail>("FAIL\t2\tuser=kate").temporary());
    EXPECT_TRUE(parsed<Fail>("FAIL\t2\tuser=kate\ttemp").temporary());
    EXPECT_TRUE(parsed<Fail>("FAIL\t2\tcode=temp_fail").temporary());
    auto fail = parsed<Fail>("FAIL\t6\tcode=invalid_base64\treason=Invalid base64 data");
    EXPECT_EQ(fail.field("reason"), "Invalid base64 data");
}

TEST(DovecotAuth, refused) {
    for (const auto& line : {""s, "\tx"s, "VERSION"s, "VERSION\t1"s, "VERSION\tx\t1"s, "OK"s,
                             "OK\tx"s, "FAIL\t-1"s, "CONT\t"s, "OK\t4294967296"s, "MECH"s,
                             "OK\t1\tuser=\0"s, "OK\t1\n"s, "OK\t1\t" + std::string(kMaxLine, 'x')})
        EXPECT_FALSE(parse_message(line)) << line.substr(0, 80);
    std::string many = "OK\t1";
    for (int i = 0; i < 1000; ++i) many += "\ta=b";
    EXPECT_EQ(parsed<Ok>(many).fields.size(), 64U);
}

TEST(DovecotAuth, requests) {
    Request request{.id = 1, .mechanism = "PLAIN", .service = "smtp"};
    request.secured = true;
    request.client = *Endpoint::parse("192.0.2.7:4711");
    request.local = *Endpoint::parse("[::1]:587");
    request.session_id = "s1";
    request.initial = "AGEAYg==";
    EXPECT_EQ(write_request(request),
              "AUTH\t1\tPLAIN\tservice=smtp\tsecured\tno-penalty\tnologin\tsession=s1\tlip=::1\t"
              "lport=587\trip=192.0.2.7\trport=4711\tresp=AGEAYg==\n");
    Request bare{.id = 2, .mechanism = "A\nB", .service = "imap\t", .no_penalty = false};
    EXPECT_EQ(write_request(bare), "AUTH\t2\tA\001nB\tservice=imap\001t\tnologin\n");
    bare.initial = "";
    EXPECT_TRUE(write_request(bare).ends_with("\tresp=\n"));
    EXPECT_EQ(write_continue(3, "a2F0ZQ=="), "CONT\t3\ta2F0ZQ==\n");
    EXPECT_EQ(write_cancel(3), "CANCEL\t3\n");
}

}  // namespace
}  // namespace muster::wire::dovecot_auth
