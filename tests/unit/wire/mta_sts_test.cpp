#include "wire/mta_sts.h"

#include <gtest/gtest.h>

namespace muster::wire::mta_sts {
namespace {

using namespace std::literals;

std::optional<std::string> id(std::vector<std::string> records) { return record_id(records); }

TEST(MtaStsRecord, ids) {
    EXPECT_EQ(id({"v=STSv1; id=20160831085700Z;"}), "20160831085700Z");
    EXPECT_EQ(id({"v=STSv1;id=a"}), "a");
    EXPECT_EQ(id({"v=STSv1 ; x=y; id = a ;"}), "a");
    EXPECT_EQ(id({"v=spf1 -all", "v=STSv1; id=a;", "x"}), "a");
    for (const auto& records : std::vector<std::vector<std::string>>{
             {},
             {""},
             {"v=STSv1"},
             {"v=STSv1;"},
             {"v=STSv1; id="},
             {"v=STSv1; id=a-b"},
             {"v=STSv1; id=" + std::string(33, 'a')},
             {"v=STSv2; id=a"},
             {" id=a; v=STSv1;"},
             {"v=STSv1; id=a;", "v=STSv1; id=b;"},
             {"v=STSv1; id=a;", "v=STSv1;"},
         })
        EXPECT_FALSE(id(records));
}

TEST(MtaStsPolicy, texts) {
    auto policy = parse_policy(
        "version: STSv1\r\nmode: enforce\r\nmx: Mail.Example.com\r\nmx: *.example.net.\r\n"
        "max_age: 604800\r\nfuture: thing\r\n");
    ASSERT_TRUE(policy);
    EXPECT_EQ(*policy, (Policy{.mode = Mode::Enforce,
                               .max_age = 604800s,
                               .patterns = {"mail.example.com", "*.example.net"}}));
    EXPECT_EQ(parse_policy("mx:a\nmax_age:0\nmode:testing\nversion:STSv1")->mode, Mode::Testing);
    EXPECT_TRUE(parse_policy("version: STSv1\nmode: none\nmax_age: 1\n"));
    auto twice =
        parse_policy("version: STSv1\nmode: none\nmode: enforce\nmax_age: 1\nmax_age: 2\n");
    EXPECT_EQ(twice->mode, Mode::None);
    EXPECT_EQ(twice->max_age, 1s);
    EXPECT_EQ(parse_policy("version:STSv1\nmode:none\nmax_age:9999999999\n")->max_age, kMaxAge);
    std::string many = "version: STSv1\nmode: enforce\nmax_age: 1\n";
    for (std::size_t i = 0; i <= kMaxPatterns; ++i) many += "mx: a\n";
    for (const auto& text :
         {""s, "<html>"s, "mode: none\nmax_age: 1"s, "version: STSv2\nmode: none\nmax_age: 1"s,
          "version: STSv1\nmode: off\nmax_age: 1"s, "version: STSv1\nmax_age: 1"s,
          "version: STSv1\nmode: none"s, "version: STSv1\nmode: none\nmax_age: -1"s,
          "version: STSv1\nmode: enforce\nmax_age: 1"s,
          "version: STSv1\nmode: enforce\nmax_age: 1\nmx: *"s,
          "version: STSv1\nmode: enforce\nmax_age: 1\nmx: a.*.b"s,
          "version: STSv1\nmode: enforce\nmax_age: 1\nmx: "s, many,
          std::string(kMaxPolicy + 1, 'x')})
        EXPECT_FALSE(parse_policy(text)) << text.substr(0, 80);
}

TEST(MtaStsPolicy, hosts) {
    Policy policy{.patterns = {"mail.example.com", "*.example.net"}};
    for (auto host : {"mail.example.com", "MAIL.example.com.", "a.example.net"})
        EXPECT_TRUE(allows(policy, host)) << host;
    for (auto host : {"example.com", "x.mail.example.com", "example.net", "a.b.example.net",
                      ".example.net", "", "mail.example.com.evil", "xexample.net"})
        EXPECT_FALSE(allows(policy, host)) << host;
}

}  // namespace
}  // namespace muster::wire::mta_sts
