#include "wire/imap.h"

#include <gtest/gtest.h>

namespace muster::wire::imap {
namespace {

using namespace std::literals;

TEST(ImapCommand, parts) {
    auto command = parse_command("a1]. LOGIN kate  secret");
    ASSERT_TRUE(command);
    EXPECT_EQ(command->tag, "a1].");
    EXPECT_EQ(command->verb, "LOGIN");
    EXPECT_EQ(command->rest, "kate  secret");
    EXPECT_EQ(parse_command("a noop")->rest, "");
    EXPECT_EQ(parse_command("a noop  ")->rest, "");
}

TEST(ImapCommand, refused_lines_and_the_tag_of_the_answer) {
    struct Row {
        std::string line;
        std::string_view tag;
    };
    for (const auto& [line, tag] : {
             Row{"", "*"},
             Row{" NOOP", "*"},
             Row{"a", "a"},
             Row{"a ", "a"},
             Row{"a  NOOP", "a"},
             Row{"a NO\tOP", "a"},
             Row{"a NOOP\0"s, "a"},
             Row{"a \xff", "a"},
             Row{"+ NOOP", "*"},
             Row{"a+ NOOP", "*"},
             Row{"a* NOOP", "*"},
             Row{"a% NOOP", "*"},
             Row{"(a NOOP", "*"},
             Row{"\"a\" NOOP", "*"},
             Row{"a\0 NOOP"s, "*"},
             Row{"\xc3\xa4 NOOP", "*"},
             Row{std::string(kMaxTag + 1, 't') + " NOOP", "*"},
             Row{"a " + std::string(kMaxVerb + 1, 'V'), "a"},
             Row{"GET / HTTP/1.1", "GET"},
         }) {
        if (tag != "GET") {
            EXPECT_FALSE(parse_command(line)) << line;
        }
        EXPECT_EQ(reply_tag(line), tag) << line;
    }
    EXPECT_TRUE(parse_command(std::string(kMaxTag, 't') + " NOOP"));
}

TEST(ImapLogin, all_forms_of_strings) {
    struct Row {
        std::string_view rest;
        std::string_view user;
        std::string_view password;
    };
    for (auto [rest, user, password] : {
             Row{"kate secret", "kate", "secret"},
             Row{"kate%d*x] s+e=c ", "kate%d*x]", "s+e=c"},
             Row{R"("kate" "se cr\"e\\t")", "kate", R"(se cr"e\t)"},
             Row{"\"\" \"\"", "", ""},
             Row{"{4}\r\nkate {6+}\r\nse\r\net", "kate", "se\r\net"},
             Row{"kate {0}\r\n", "kate", ""},
             Row{"\"j\xc3\xbcrgen\" \"\xe4\"", "j\xc3\xbcrgen", "\xe4"},
             Row{R"("a\\b" "c\"d")", R"(a\b)", R"(c"d)"},
         }) {
        auto login = parse_login(rest);
        ASSERT_TRUE(login) << rest;
        EXPECT_EQ(login->user, user);
        EXPECT_EQ(login->password, password);
    }
}

TEST(ImapLogin, refused) {
    for (auto rest :
         {""sv, "kate"sv, "kate "sv, " kate secret"sv, "kate secret x"sv, "kate  secret"sv,
          "\"kate\"secret"sv, "\"kate secret"sv, "(kate) secret"sv, "kate sec\"ret"sv,
          "kate \xc3\xa4"sv, "ka\0te secret"sv, "{4}\r\nka\0e secret"sv, "{9}\r\nkate x"sv,
          "kate {3}\r\nabcd"sv, "ka\\te secret"sv, "{4}kate secret"sv, "kate {3}"sv})
        EXPECT_FALSE(parse_login(rest)) << rest;
    EXPECT_EQ(parse_login(std::string(kMaxUser + 1, 'u') + " p").error().kind, ErrorKind::Limit);
    EXPECT_FALSE(parse_login("u \"" + std::string(kMaxPassword + 1, 'p') + '"'));
}

TEST(ImapId, parsed) {
    EXPECT_TRUE(parse_id("NIL")->empty());
    EXPECT_TRUE(parse_id("nil ")->empty());
    EXPECT_TRUE(parse_id("()")->empty());
    auto fields = parse_id(R"(("name" "Thunder \"b\"" "version" NIL {1}
x "X-y" nil ))");
    EXPECT_FALSE(fields);
    fields = parse_id("(\"name\" \"Thunder \\\"b\\\"\" \"version\" NIL {4}\r\nx-ip {2+}\r\nab)");
    ASSERT_TRUE(fields);
    ASSERT_EQ(fields->size(), 3U);
    EXPECT_EQ((*fields)[0].value, "Thunder \"b\"");
    EXPECT_FALSE((*fields)[1].value);
    EXPECT_EQ((*fields)[2].name, "x-ip");
    EXPECT_TRUE(is_proxy_field("X-Originating-IP"));
    EXPECT_FALSE(is_proxy_field("name"));
}

TEST(ImapId, refused) {
    std::string many = "(";
    for (int i = 0; i < 31; ++i) many += "\"a\" \"b\" ";
    for (const auto& rest :
         {""s, "("s, "(name value)"s, "(\"a\")"s, "(\"a\" \"b\""s, "(\"a\" \"b\")x"s, "NILx"s,
          "(\"a\"\"b\")"s, "(NIL NIL)"s, "(\"a\" \"b\0\")"s, "(\"a\" \"b\"\"c\" \"d\")"s,
          many + ")", "(\"" + std::string(31, 'n') + "\" NIL)",
          "(\"a\" \"" + std::string(1025, 'v') + "\")"})
        EXPECT_FALSE(parse_id(rest)) << rest;
}

TEST(ImapId, written) {
    std::string out;
    append_id(out, {});
    EXPECT_EQ(out, "NIL");
    out.clear();
    std::vector<IdField> fields{{"name", "a\"b"}, {"bad", "x\r\ny"}, {"none", std::nullopt}};
    append_id(out, fields);
    EXPECT_EQ(out, R"(("name" "a\"b" "none" NIL))");
    EXPECT_EQ(parse_id(out)->size(), 2U);
}

TEST(ImapCapabilities, before_login) {
    auto common = parse_capabilities(
        "IMAP4rev1 LITERAL+ AUTH=PLAIN AUTH=CRAM-MD5 auth=scram-sha-256 AUTH=SCRAM-SHA-256-PLUS "
        "STARTTLS LOGINDISABLED ENABLE AUTH=GSSAPI");
    EXPECT_EQ(write_capabilities(before_login(common, {.tls = true})),
              "IMAP4rev1 AUTH=LOGIN AUTH=PLAIN AUTH=SCRAM-SHA-256 ENABLE LITERAL+ SASL-IR");
    EXPECT_EQ(write_capabilities(before_login(common, {.starttls = true})),
              "IMAP4rev1 AUTH=SCRAM-SHA-256 ENABLE LITERAL+ LOGINDISABLED SASL-IR STARTTLS");
    EXPECT_EQ(write_capabilities(before_login(common, {.cleartext = true, .scram = false})),
              "IMAP4rev1 AUTH=LOGIN AUTH=PLAIN ENABLE LITERAL+ SASL-IR");
    EXPECT_EQ(write_capabilities(before_login(parse_capabilities("IMAP4rev1"), {.tls = true})),
              "IMAP4rev1");
    EXPECT_EQ(write_capabilities({}), "");
}

TEST(ImapCapabilities, bounded) {
    std::string words;
    for (int i = 0; i < 1000; ++i) words += " X" + std::to_string(i);
    EXPECT_EQ(parse_capabilities(words).entries().size(), 256U);
    EXPECT_TRUE(parse_capabilities(std::string(129, 'x')).empty());
}

TEST(ImapResponse, kinds_and_parts) {
    struct Row {
        std::string_view line;
        ResponseKind kind;
        Status status;
        std::string_view tag;
        std::string_view code;
        std::string_view text;
    };
    using enum ResponseKind;
    for (const auto& row : {
             Row{"* OK [CAPABILITY IMAP4rev1 ID] ready.", Untagged, Status::Ok, "*",
                 "CAPABILITY IMAP4rev1 ID", "ready."},
             Row{"* PREAUTH hi", Untagged, Status::Preauth, "*", "", "hi"},
             Row{"* BYE [UNAVAILABLE] later", Untagged, Status::Bye, "*", "UNAVAILABLE", "later"},
             Row{"* CAPABILITY IMAP4rev1", Untagged, Status::Other, "*", "",
                 "CAPABILITY IMAP4rev1"},
             Row{"* 3 EXISTS", Untagged, Status::Other, "*", "", "3 EXISTS"},
             Row{"*", Untagged, Status::Other, "*", "", ""},
             Row{"a1 ok done", Tagged, Status::Ok, "a1", "", "done"},
             Row{"a1 NO [AUTHENTICATIONFAILED] no", Tagged, Status::No, "a1",
                 "AUTHENTICATIONFAILED", "no"},
             Row{"a1 BAD", Tagged, Status::Bad, "a1", "", ""},
             Row{"a1 OK [X]", Tagged, Status::Ok, "a1", "X", ""},
             Row{"a1 OK []", Tagged, Status::Ok, "a1", "", ""},
             Row{"a1 OK [X broken", Tagged, Status::Ok, "a1", "", "[X broken"},
             Row{"+ PDE4O", Continuation, Status::Other, "+", "", "PDE4O"},
             Row{"+", Continuation, Status::Other, "+", "", ""},
         }) {
        auto response = parse_response(row.line);
        ASSERT_TRUE(response) << row.line;
        EXPECT_EQ(response->kind, row.kind) << row.line;
        EXPECT_EQ(response->status, row.status) << row.line;
        EXPECT_EQ(response->tag, row.tag);
        EXPECT_EQ(response->code, row.code);
        EXPECT_EQ(response->text, row.text);
    }
}

TEST(ImapResponse, refused) {
    for (auto line :
         {""sv, "a1"sv, "a1 BYE x"sv, "a1 PREAUTH"sv, "a1 WHAT"sv, " OK x"sv, "a1 OK \0"sv,
          "SSH-2.0-OpenSSH_9.2"sv, "220 mail ESMTP"sv, "+OK POP3"sv, "\xff\xfe OK"sv})
        EXPECT_FALSE(parse_response(line)) << line;
    EXPECT_FALSE(parse_response(std::string(65, 't') + " OK x"));
}

TEST(ImapResponse, capabilities_in_all_three_places) {
    for (auto line :
         {"* OK [capability IMAP4rev1 AUTH=PLAIN] hi", "* Capability IMAP4rev1 AUTH=PLAIN",
          "a OK [CAPABILITY IMAP4rev1  AUTH=PLAIN] in"}) {
        auto capabilities = capabilities_in(*parse_response(line));
        ASSERT_TRUE(capabilities) << line;
        EXPECT_EQ(write_capabilities(*capabilities), "IMAP4rev1 AUTH=PLAIN");
    }
    for (auto line : {"* OK hi", "* CAPABILITYX a", "a OK CAPABILITY x", "+ CAPABILITY x"})
        EXPECT_FALSE(capabilities_in(*parse_response(line))) << line;
}

TEST(ImapResponse, referrals_are_taken_out) {
    EXPECT_EQ(without_referral("a NO [REFERRAL imap://u@h/] try there"), "a NO Refused.");
    EXPECT_EQ(without_referral("a OK [referral imap://u@[::1]/] here too"), "a OK Done.");
    EXPECT_EQ(without_referral("* BYE [REFERRAL imap://h/]"), "* BYE Refused.");
    EXPECT_EQ(without_referral("a NO [UNAVAILABLE] x"), "a NO [UNAVAILABLE] x");
    EXPECT_EQ(without_referral("garbage"), "garbage");
}

TEST(ImapIntroduction, as_dovecot_takes_it) {
    std::array fields{ForwardField{"account", "kate\"@domain1.dom"}};
    Introduction introduction{.client = *Endpoint::parse("[2001:db8::7]:4711"),
                              .local = *Endpoint::parse("192.0.2.1:143"),
                              .session_id = "s1",
                              .ttl = 4,
                              .forward = fields};
    EXPECT_EQ(write_introduction("i", introduction),
              "i ID (\"x-session-id\" \"s1\" \"x-originating-ip\" \"2001:db8::7\" "
              "\"x-originating-port\" \"4711\" \"x-connected-ip\" \"192.0.2.1\" "
              "\"x-connected-port\" \"143\" \"x-proxy-ttl\" \"4\" "
              "\"x-forward-account\" \"kate\\\"@domain1.dom\")\r\n");
    introduction.session_id = "s 1";
    EXPECT_FALSE(write_introduction("i", introduction));
}

TEST(ImapLogin, written) {
    using Pieces = std::vector<std::string>;
    EXPECT_EQ(write_login("a", "kate", "s\"x", false), (Pieces{"a LOGIN \"kate\" \"s\\\"x\"\r\n"}));
    EXPECT_EQ(write_login("a", "k\xc3\xa4", "p\r\nq", false),
              (Pieces{"a LOGIN {3}\r\n", "k\xc3\xa4 {4}\r\n", "p\r\nq\r\n"}));
    EXPECT_EQ(write_login("a", "k\xc3\xa4", "", true),
              (Pieces{"a LOGIN {3+}\r\nk\xc3\xa4 \"\"\r\n"}));
    EXPECT_FALSE(write_login("a", "k\0"sv, "p", true));
    EXPECT_FALSE(write_login("a", "k", "p\0"sv, true));
}

}  // namespace
}  // namespace muster::wire::imap
