#include "wire/pop3.h"

#include <gtest/gtest.h>

namespace muster::wire::pop3 {
namespace {

using namespace std::literals;

TEST(Pop3Command, parts) {
    struct Row {
        std::string_view line;
        std::string_view verb;
        std::string_view rest;
    };
    for (auto [line, verb, rest] : {
             Row{"QUIT", "QUIT", ""},
             Row{"USER kate@domain1.dom", "USER", "kate@domain1.dom"},
             Row{"PASS  a b \xff ", "PASS", " a b \xff "},
             Row{"utf8", "utf8", ""},
             Row{"AUTH PLAIN AGEAYg==", "AUTH", "PLAIN AGEAYg=="},
         }) {
        auto command = parse_command(line);
        ASSERT_TRUE(command) << line;
        EXPECT_EQ(command->verb, verb);
        EXPECT_EQ(command->rest, rest);
    }
    for (const auto& line : {""s, " QUIT"s, "QU\tIT"s, "PASS a\0b"s, "US\rER"s, "\xffQUIT"s,
                             std::string(kMaxVerb + 1, 'A')})
        EXPECT_FALSE(parse_command(line)) << line;
}

TEST(Pop3Response, parts) {
    struct Row {
        std::string_view line;
        ResponseKind kind;
        std::string_view code;
        std::string_view text;
    };
    using enum ResponseKind;
    for (const auto& [line, kind, code, text] : {
             Row{"+OK", Ok, "", ""},
             Row{"+OK Dovecot ready.", Ok, "", "Dovecot ready."},
             Row{"+OK [XCLIENT] Dovecot ready.", Ok, "XCLIENT", "Dovecot ready."},
             Row{"-ERR [SYS/TEMP] later", Err, "SYS/TEMP", "later"},
             Row{"-ERR [AUTH]", Err, "AUTH", ""},
             Row{"-ERR [AUTH", Err, "", "[AUTH"},
             Row{"+ ", Continuation, "", ""},
             Row{"+", Continuation, "", ""},
             Row{"+ cj1m", Continuation, "", "cj1m"},
         }) {
        auto response = parse_response(line);
        ASSERT_TRUE(response) << line;
        EXPECT_EQ(response->kind, kind);
        EXPECT_EQ(response->code, code);
        EXPECT_EQ(response->text, text);
    }
    for (auto line : {""sv, "OK"sv, "+OKAY"sv, "-ER"sv, "* OK IMAP"sv, "+OK \0"sv, "++"sv})
        EXPECT_FALSE(parse_response(line)) << line;
    EXPECT_TRUE(offers_xclient(*parse_response("+OK [XCLIENT] hi")));
    EXPECT_FALSE(offers_xclient(*parse_response("-ERR [XCLIENT] hi")));
    EXPECT_FALSE(offers_xclient(*parse_response("+OK hi [XCLIENT]")));
}

TEST(Pop3Capabilities, listing) {
    CapabilityListing listing;
    for (auto line :
         {"TOP", "UIDL", "SASL PLAIN LOGIN", "RESP-CODES", "", "..odd", "IMPLEMENTATION x"})
        EXPECT_EQ(listing.add(line), false);
    EXPECT_EQ(listing.add("."), true);
    EXPECT_EQ(write_capabilities(listing.capabilities()),
              "+OK\r\nIMPLEMENTATION x\r\nRESP-CODES\r\nSASL PLAIN LOGIN\r\nTOP\r\nUIDL\r\n.\r\n");
    CapabilityListing endless;
    for (int i = 0; i < 128; ++i) ASSERT_TRUE(endless.add("X"));
    EXPECT_FALSE(endless.add("X"));
}

TEST(Pop3Capabilities, before_login) {
    CapabilityListing listing;
    for (auto line :
         {"TOP", "USER", "SASL PLAIN CRAM-MD5 SCRAM-SHA-1", "STLS", "XCLIENT", "IMPLEMENTATION x"})
        ASSERT_TRUE(listing.add(line));
    using Lines = std::vector<std::string>;
    const auto& common = listing.capabilities();
    EXPECT_EQ(before_login(common, {.tls = true}).lines(),
              (Lines{"SASL PLAIN LOGIN SCRAM-SHA-1", "TOP", "USER"}));
    EXPECT_EQ(before_login(common, {.starttls = true}).lines(),
              (Lines{"SASL SCRAM-SHA-1", "STLS", "TOP"}));
    EXPECT_EQ(before_login({}, {.tls = true}).lines(), Lines{});
}

TEST(Pop3Command, written) {
    EXPECT_EQ(write_command("PASS", " a b"), "PASS  a b\r\n");
    EXPECT_EQ(write_command("CAPA"), "CAPA\r\n");
    EXPECT_FALSE(write_command("USER", "a\r\nDELE 1"));
    EXPECT_FALSE(write_command("USER", "a\0"sv));
}

}  // namespace
}  // namespace muster::wire::pop3
