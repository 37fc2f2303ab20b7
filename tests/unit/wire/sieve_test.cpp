#include "wire/sieve.h"

#include <gtest/gtest.h>

namespace muster::wire::sieve {
namespace {

using namespace std::literals;

TEST(SieveCommand, parts) {
    auto command = parse_command(R"(Authenticate "PLAIN" "AGEAYg==")");
    ASSERT_TRUE(command);
    EXPECT_EQ(command->verb, "Authenticate");
    EXPECT_EQ(command->rest, R"("PLAIN" "AGEAYg==")");
    EXPECT_EQ(parse_command("LOGOUT ")->rest, "");
    for (auto text : {""sv, " LOGOUT"sv, "LOG\0OUT"sv, "{5+}\r\nabcde"sv, "\"LOGOUT\""sv, "\xff"sv})
        EXPECT_FALSE(parse_command(text)) << text;
    EXPECT_FALSE(parse_command(std::string(kMaxVerb + 1, 'A')));
}

TEST(SieveAuthenticate, forms) {
    struct Row {
        std::string_view rest;
        std::string_view mechanism;
        std::optional<std::string_view> initial;
    };
    for (const auto& [rest, mechanism, initial] : {
             Row{R"("PLAIN")", "PLAIN", std::nullopt},
             Row{R"("SCRAM-SHA-256" "")", "SCRAM-SHA-256", ""},
             Row{R"("PLAIN" "AGEAYg==")", "PLAIN", "AGEAYg=="},
             Row{"{5+}\r\nPLAIN {8+}\r\nAGEAYg==", "PLAIN", "AGEAYg=="},
         }) {
        auto request = parse_authenticate(rest);
        ASSERT_TRUE(request) << rest;
        EXPECT_EQ(request->mechanism, mechanism);
        EXPECT_EQ(request->initial, initial);
    }
    for (auto rest :
         {""sv, "PLAIN"sv, R"("")"sv, R"("PL AIN")"sv, R"(" PLAIN")"sv, R"("PLAIN =")"sv,
          R"("PL\\AIN")"sv, R"("PLAIN" "a b")"sv, R"("PLAIN" "a\\b")"sv, R"("PLAIN" "a" "b")"sv,
          "\"PLAIN\" {3+}\r\nab"sv, "\"PLAIN\" \"\0\""sv, R"("PLAIN" x)"sv})
        EXPECT_FALSE(parse_authenticate(rest)) << rest;
    EXPECT_FALSE(parse_authenticate("\"PLAIN\" \"" + std::string(20000, 'A') + '"'));
}

TEST(SieveResponses, of_the_client) {
    EXPECT_EQ(parse_response_string(R"("AGEAYg==")"), "AGEAYg==");
    EXPECT_EQ(parse_response_string(R"("")"), "");
    EXPECT_TRUE(sasl::is_cancel(*parse_response_string(R"("*")")));
    for (auto text : {""sv, "AGEAYg=="sv, R"("a" "b")"sv, R"("a)"sv, R"("a\"")"sv})
        EXPECT_FALSE(parse_response_string(text)) << text;
}

TEST(SieveNoop, with_and_without_tag) {
    EXPECT_EQ(*parse_noop(""), std::nullopt);
    EXPECT_EQ(*parse_noop(R"("a\"b")"), "a\"b");
    EXPECT_FALSE(parse_noop("x"));
    EXPECT_FALSE(parse_noop(R"("a" "b")"));
}

Capabilities listing(std::initializer_list<std::string_view> lines) {
    Capabilities capabilities;
    for (auto line : lines) EXPECT_TRUE(parse_capability(line, capabilities)) << line;
    return capabilities;
}

TEST(SieveCapabilities, listing) {
    auto capabilities = listing({R"("IMPLEMENTATION" "Dove\"cot")", R"("SASL" "PLAIN LOGIN")",
                                 R"("SIEVE" "fileinto vacation")", R"("STARTTLS")",
                                 R"("VERSION" "1.0")", "\"X\" {3}\r\na b", "{1}\r\nY "});
    EXPECT_EQ(write_capabilities(capabilities),
              "\"IMPLEMENTATION\" \"Dove\\\"cot\"\r\n\"SASL\" \"PLAIN LOGIN\"\r\n"
              "\"SIEVE\" \"fileinto vacation\"\r\n\"STARTTLS\"\r\n\"VERSION\" \"1.0\"\r\n"
              "\"X\" \"a b\"\r\n\"Y\"\r\n");
    for (auto line : {""sv, "SASL"sv, R"("A" "b" "c")"sv, R"("A" b)"sv, R"("A)"sv})
        EXPECT_FALSE(parse_capability(line, capabilities)) << line;
    for (int i = 0; i < 200; ++i)
        (void)parse_capability("\"N" + std::to_string(i) + '"', capabilities);
    EXPECT_EQ(capabilities.entries().size(), 128U);
}

TEST(SieveCapabilities, before_login) {
    auto common = listing({R"("IMPLEMENTATION" "x")", R"("SASL" "PLAIN CRAM-MD5")", R"("STARTTLS")",
                           R"("XCLIENT")", R"("SIEVE" "fileinto")", R"("OWNER" "kate")"});
    EXPECT_EQ(
        write_capabilities(before_login(common, {.tls = true})),
        "\"IMPLEMENTATION\" \"Muster\"\r\n\"SASL\" \"PLAIN LOGIN\"\r\n\"SIEVE\" \"fileinto\"\r\n");
    EXPECT_EQ(write_capabilities(before_login(common, {.starttls = true})),
              "\"IMPLEMENTATION\" \"Muster\"\r\n\"SASL\" \"\"\r\n\"SIEVE\" \"fileinto\"\r\n"
              "\"STARTTLS\"\r\n");
}

TEST(SieveResponse, parts) {
    struct Row {
        std::string_view text;
        Status status;
        std::string_view code;
        std::string_view human;
    };
    for (const auto& [text, status, code, human] : {
             Row{"OK", Status::Ok, "", ""},
             Row{"ok \"Logged in.\"", Status::Ok, "", "Logged in."},
             Row{R"(OK (SASL "cnNwYXV0aA==") "in")", Status::Ok, R"(SASL "cnNwYXV0aA==")", "in"},
             Row{"NO (TRYLATER) {7}\r\na\r\nb\"c)", Status::No, "TRYLATER", "a\r\nb\"c)"},
             Row{R"(NO (TAG "a)b") "x")", Status::No, R"(TAG "a)b")", "x"},
             Row{"BYE(TRYLATER)", Status::Bye, "TRYLATER", ""},
             Row{"NO (X {2}\r\n))) \"y\"", Status::No, "X {2}\r\n))", "y"},
         }) {
        auto response = parse_response(text);
        ASSERT_TRUE(response) << text;
        EXPECT_TRUE(is_response(text));
        EXPECT_EQ(response->status, status);
        EXPECT_EQ(response->code, code);
        EXPECT_EQ(response->text, human);
    }
    EXPECT_TRUE(parse_response("OK (sasl \"x\")")->code_is("SASL"));
    EXPECT_EQ(parse_response("OK (SASL \"x\")")->code_arguments(), "\"x\"");
}

TEST(SieveResponse, refused) {
    for (auto text :
         {""sv, "\"SASL\" \"PLAIN\""sv, "OKAY"sv, "OK\"a\""sv, "NO ("sv, "NO (A"sv, "NO (\"A)"sv,
          "NO x"sv, "NO \"a\" \"b\""sv, "NO \"a"sv, "NO {9}\r\nabc"sv, "OK \"a\0\""sv})
        EXPECT_FALSE(parse_response(text)) << text;
    EXPECT_FALSE(parse_response("NO (" + std::string(2000, 'x') + ")"));
    EXPECT_FALSE(parse_response("NO \"" + std::string(5000, 'x') + '"'));
    EXPECT_FALSE(is_response("\"SASL\""));
    EXPECT_FALSE(is_response("NOTIFY"));
}

TEST(SieveWriter, quotes_or_literals) {
    EXPECT_EQ(write_response("OK", "", ""), "OK\r\n");
    EXPECT_EQ(write_response("NO", "TRYLATER", "a\"b"), "NO (TRYLATER) \"a\\\"b\"\r\n");
    EXPECT_EQ(write_response("NO", "", "a\r\nb"), "NO {4}\r\na\r\nb\r\n");
    EXPECT_EQ(write_authenticate("PLAIN", std::nullopt), "AUTHENTICATE \"PLAIN\"\r\n");
    EXPECT_EQ(write_authenticate("PLAIN", ""), "AUTHENTICATE \"PLAIN\" \"\"\r\n");
    std::string token(2000, 'A');
    std::string challenge;
    append_server_string(challenge, token);
    EXPECT_EQ(challenge, "{2000}\r\n" + token);
    EXPECT_EQ(write_authenticate("XOAUTH2", token),
              "AUTHENTICATE \"XOAUTH2\" {2000+}\r\n" + token + "\r\n");
}

}  // namespace
}  // namespace muster::wire::sieve
