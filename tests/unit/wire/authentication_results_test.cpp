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

TEST(AuthenticationResults, ReadsWhoWroteIt) {
    for (const auto* const value :
         {" mx.example.org; none", "mx.example.org",
          "\r\n\t(by (nobody \\)) else) mx.example.org 1;", " \"mx.example.org\" ; x",
          "mx.example.org(x);spf=pass", " \"mx.ex\\ample.org\""}) {
        EXPECT_EQ(authserv_id_of(value), "mx.example.org") << value;
    }
    EXPECT_EQ(authserv_id_of(" (unclosed mx.example.org; none"), "");
    EXPECT_EQ(authserv_id_of(""), "");
}

TEST(AuthenticationResults, TakesOutWhatIsSaidInOurName) {
    const std::string own = "Authentication-Results: MX.example.org;\r\n\tspf=pass\r\n";
    const std::string other = "Authentication-Results: mx.example.net; spf=pass\r\n";
    EXPECT_EQ(without_results_of("A: b\r\n" + other + "\r\n", "mx.example.org"), std::nullopt);
    EXPECT_EQ(without_results_of(own + "A: b\r\n" + other + own + " x\r\n\r\n", "mx.example.org"),
              "A: b\r\n" + other + "\r\n");
    EXPECT_EQ(without_results_of("no field\r\n" + own + "B: c\r\n", "mx.example.org"),
              "no field\r\nB: c\r\n");
    EXPECT_EQ(without_results_of("authentication-results \t: \"mx.example.org.\"; none",
                                 "mx.example.org"),
              "");
}

}  // namespace
}  // namespace muster::wire
