// What we say of a message's sender, and what others may not say in our name (RFC 8601).

#include "wire/authentication_results.h"

#include <gtest/gtest.h>

namespace muster::wire {
namespace {

TEST(AuthenticationResults, SaysWhatIsKnown) {
    AuthenticationResults results{.authserv_id = "mx.example.org"};
    EXPECT_EQ(write_authentication_results(results), "");
    results.iprev = "pass";
    results.client = *IpAddress::parse("192.0.2.1");
    results.client_name = "a.example";
    EXPECT_EQ(write_authentication_results(results),
              "Authentication-Results: mx.example.org;\r\n\tiprev=pass policy.iprev=192.0.2.1 "
              "(a.example)\r\n");
    results.authenticated = true;
    results.login = "kate@example.org";
    EXPECT_EQ(write_authentication_results(results),
              "Authentication-Results: mx.example.org;\r\n\tiprev=pass policy.iprev=192.0.2.1 "
              "(a.example);\r\n\tauth=pass smtp.auth=kate@example.org\r\n");
}

TEST(AuthenticationResults, QuotesWhatIsNoToken) {
    AuthenticationResults results{.authserv_id = "mx.example.org", .iprev = "permerror"};
    results.client = *IpAddress::parse("2001:db8::1");
    EXPECT_EQ(write_authentication_results(results),
              "Authentication-Results: mx.example.org;\r\n\tiprev=permerror "
              "policy.iprev=\"2001:db8::1\"\r\n");
    results = {.authserv_id = "mx.example.org", .authenticated = true, .login = "a\"b;\r\n@x"};
    EXPECT_EQ(
        write_authentication_results(results),
        "Authentication-Results: mx.example.org;\r\n\tauth=pass smtp.auth=\"a\\\"b;??@x\"\r\n");
}

bool is_removed(const std::string& value) {
    return without_results_of("Authentication-Results:" + value + "\r\n", "mx.example.org") == "";
}

TEST(AuthenticationResults, KnowsItsNameHoweverItIsWritten) {
    for (const auto* const value : {" mx.example.org; none",
                                    "mx.example.org",
                                    " MX.example.org/1; none",
                                    " mx.example.org 1; none",
                                    " mx.example.org\v1; none",
                                    "\f\vmx.example.org; none",
                                    "\r\n\t(by (nobody \\)) else) mx.example.org 1;",
                                    " \"mx.example.org\" ; x",
                                    "mx.example.org(x);spf=pass",
                                    " \"mx.ex\\ample.org\"",
                                    " mx . (a;b) example\r\n .org ; x",
                                    " mx.exa\r\n mple.org; x",
                                    " <mx.example.org>; x",
                                    " a@mx.example.org; x",
                                    " (a (b) mx.example.org; spf=pass) other.example; none",
                                    " =?utf-8?b?bXguZXhhbXBsZS5vcmc=?=; x",
                                    " (unclosed mx.example.org; none",
                                    " \"unclosed; none",
                                    " \"mx.example.org.\"; none",
                                    " b\xc3\xbc.example; none",
                                    " \xfc; none"}) {
        EXPECT_TRUE(is_removed(value)) << value;
    }
    for (const auto* const value :
         {"", " mx.example.net; spf=pass smtp.mailfrom=mx.example.org", " a.mx.example.org; x",
          " mx.example.org.example; x", " example.org (mx); x", " other.example 1;(unclosed"}) {
        EXPECT_FALSE(is_removed(value)) << value;
    }
}

TEST(AuthenticationResults, EndlessNamesTakeNoTime) {
    std::string words;
    for (int i = 0; i < 100'000; ++i) words += "a ";
    EXPECT_FALSE(is_removed(words));
}

TEST(AuthenticationResults, TakesOutWhatIsSaidInOurName) {
    const std::string own = "Authentication-Results: MX.example.org;\r\n\tspf=pass\r\n";
    const std::string other = "Authentication-Results: mx.example.net; spf=pass\r\n";
    EXPECT_EQ(without_results_of("A: b\r\n" + other + "\r\n", "mx.example.org"), std::nullopt);
    EXPECT_EQ(without_results_of(own + "A: b\r\n" + other + own + " x\r\n\r\n", "mx.example.org"),
              "A: b\r\n" + other + "\r\n");
    EXPECT_EQ(without_results_of("no field\r\n" + own + "B: c\r\n", "mx.example.org"),
              "no field\r\nB: c\r\n");
    EXPECT_EQ(
        without_results_of("authentication-results \t: \"mx.example.org\"; none", "mx.example.org"),
        "");
}

}  // namespace
}  // namespace muster::wire
