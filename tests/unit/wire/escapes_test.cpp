#include <gtest/gtest.h>

#include <array>
#include <string>

#include "wire/introduction.h"
#include "wire/tabescape.h"
#include "wire/xtext.h"

namespace muster::wire {
namespace {

using namespace std::string_view_literals;

TEST(TabEscape, both_ways) {
    std::string out;
    append_tabescaped(out, "a\0b\1c\td\re\nf"sv);
    EXPECT_EQ(out,
              "a\001"
              "0b\001"
              "1c\001td\001re\001nf");
    EXPECT_EQ(tabunescape(out), "a\0b\1c\td\re\nf"sv);
    EXPECT_EQ(tabunescape("a\001xb\001"), "axb");
}

TEST(Xtext, both_ways) {
    EXPECT_EQ(xtext_encode("a+b=c d\xff\0"sv), "a+2Bb+3Dc+20d+FF+00");
    EXPECT_EQ(xtext_decode("a+2Bb+3Dc+20d+FF+00", 100), "a+b=c d\xff\0"sv);
    for (auto text : {"+"sv, "+2"sv, "+2b"sv, "+GG"sv, "a b"sv, "a=b"sv, "a\0"sv, "\xff"sv})
        EXPECT_FALSE(xtext_decode(text, 100)) << text;
    EXPECT_EQ(xtext_decode("abc", 2).error().kind, ErrorKind::Limit);
    EXPECT_EQ(xtext_decode("+41+42", 2), "AB");
}

Introduction introduction() {
    return {.client = *Endpoint::parse("192.0.2.7:4711"),
            .local = *Endpoint::parse("192.0.2.1:143"),
            .session_id = "s-1+/",
            .forward = {}};
}

TEST(Xclient, as_dovecot_takes_it) {
    auto plain = introduction();
    EXPECT_EQ(write_xclient(plain), "XCLIENT ADDR=192.0.2.7 PORT=4711 SESSION=s-1+/ TTL=5\r\n");
    plain.client = *Endpoint::parse("[2001:db8::1]:1");
    plain.session_id = {};
    std::array fields{ForwardField{"account", "kate@domain1.dom"}, ForwardField{"x", "a\tb"}};
    plain.forward = fields;
    // base64 of account=kate@domain1.dom TAB x=a\001tb
    EXPECT_EQ(write_xclient(plain),
              "XCLIENT ADDR=2001:db8::1 PORT=1 TTL=5 "
              "FORWARD=YWNjb3VudD1rYXRlQGRvbWFpbjEuZG9tCXg9YQF0Yg==\r\n");
}

TEST(Xclient, takes_the_longest_account_there_may_be) {
    auto longest = introduction();
    longest.client = *Endpoint::parse("[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
    const std::string session(kMaxSessionId, 's');
    const std::string address = std::string(64, 'l') + "@" + std::string(255, 'd');
    std::array fields{ForwardField{"muster_account", address}};
    longest.session_id = session;
    longest.forward = fields;
    EXPECT_TRUE(write_xclient(longest));
}

TEST(Xclient, refuses_what_dovecot_would_misread) {
    for (std::string_view session : {"a b"sv, "a\r\nQUIT"sv, "a\xc3"sv, "a\0"sv}) {
        auto bad = introduction();
        bad.session_id = session;
        EXPECT_FALSE(write_xclient(bad)) << session;
    }
    auto long_id = std::string(65, 'x');
    auto bad = introduction();
    bad.session_id = long_id;
    EXPECT_FALSE(write_xclient(bad));

    auto text = std::string(1025, 'x');
    for (auto field : {ForwardField{"", "v"}, ForwardField{"a=b", "v"}, ForwardField{"a b", "v"},
                       ForwardField{"name-of-twenty-one-ch", "v"}, ForwardField{"a", text},
                       ForwardField{"a", "x\r\ny"}, ForwardField{"a", "\0"sv},
                       ForwardField{"a", std::string_view(text).substr(0, 800)}}) {
        std::array fields{field};
        bad = introduction();
        bad.forward = fields;
        EXPECT_EQ(write_xclient(bad).error().kind, ErrorKind::Limit) << field.name;
    }
}

}  // namespace
}  // namespace muster::wire
