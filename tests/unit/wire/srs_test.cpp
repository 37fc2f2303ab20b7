#include "wire/srs.h"

#include <gtest/gtest.h>

#include <vector>

#include "wire/ascii.h"

namespace muster::wire::srs {
namespace {

constexpr std::uint64_t kToday = 20'000;
const std::vector<std::string> kKeys{"current", "previous"};

smtp::Path path(std::string_view text) {
    const auto parsed = smtp::parse_address(text);
    EXPECT_TRUE(parsed) << text;
    return parsed.value_or(smtp::Path{});
}

std::string forward(std::string_view sender, std::string_view domain = "srs.example",
                    std::string_view key = "current", std::uint64_t day = kToday) {
    const auto rewritten = forwarded(path(sender), domain, key, day);
    return rewritten ? rewritten->text() : "";
}

Reversed back(const std::string& address, std::uint64_t day = kToday,
              const std::vector<std::string>& keys = kKeys) {
    return reversed(path(address).local, keys, day);
}

std::string led_to(const std::string& address, std::uint64_t day = kToday) {
    const Reversed found = back(address, day);
    return found.verdict == Verdict::Good ? found.path.text() : "";
}

TEST(Srs, ASenderIsRewrittenAndLeadsBack) {
    const std::string address = forward("Kate.O'Hara@Example.com");
    EXPECT_TRUE(address.starts_with("SRS0=")) << address;
    EXPECT_TRUE(address.ends_with("=Example.com=Kate.O'Hara@srs.example")) << address;
    EXPECT_EQ(led_to(address), "Kate.O'Hara@Example.com");
}

TEST(Srs, LocalPartsOfAllKindsLeadBack) {
    for (const char* sender :
         {"a=b=c@example.com", "a+b@example.com", R"("two words"@example.com)", "x@[192.0.2.1]",
          "b-srs0=x@example.com", "münchen@example.com", "srs0@example.com",
          "prvs=4711=kate@example.com", R"("quote\"d"@example.com)"}) {
        const std::string address = forward(sender);
        EXPECT_EQ(led_to(address), sender) << address;
    }
}

TEST(Srs, ServersThatFoldTheLocalPartDoNoHarm) {
    std::string address = forward("kate@example.com");
    for (char& c : address) c = wire::lower(c);
    EXPECT_EQ(led_to(address), "kate@example.com");
    for (char& c : address) c = wire::upper(c);
    EXPECT_EQ(led_to(address), "KATE@EXAMPLE.COM");
}

TEST(Srs, ASecondForwarderNamesTheFirstAndAThirdDropsTheSecond) {
    const std::string first = forward("kate@example.com", "one.example", "key of one");
    const std::string second = forward(first, "two.example", "key of two");
    EXPECT_TRUE(second.starts_with("SRS1=")) << second;
    const std::string third = forward(second, "three.example", "current");
    EXPECT_TRUE(third.contains("=one.example=="));
    EXPECT_FALSE(third.contains("two.example"));
    EXPECT_EQ(led_to(third), first);
    const Reversed whole =
        reversed(path(first).local, std::vector<std::string>{"key of one"}, kToday);
    EXPECT_EQ(whole.path.text(), "kate@example.com");
}

TEST(Srs, SeparatorsOfOtherImplementationsAreKept) {
    for (const std::string first : {"SRS0+abcd=TT=example.com=kate@one.example",
                                    "srs0-abcd=TT=example.com=kate@one.example"}) {
        const std::string ours = forward(first);
        ASSERT_TRUE(ours.starts_with("SRS1=")) << ours;
        EXPECT_EQ(led_to(ours), "SRS0" + first.substr(4));
    }
}

TEST(Srs, EachKeyThatIsAcceptedOpens) {
    const std::string old = forward("kate@example.com", "srs.example", "previous");
    EXPECT_EQ(led_to(old), "kate@example.com");
    const std::string older = forward("kate@example.com", "srs.example", "forgotten");
    EXPECT_EQ(back(older).verdict, Verdict::Forged);
    EXPECT_EQ(back(old, kToday, {}).verdict, Verdict::Forged);
}

TEST(Srs, ItIsGoodFor21DaysAcrossTheEndOfTheCycle) {
    for (const std::uint64_t made : {kToday, std::uint64_t{1023}, std::uint64_t{2047} * 1024}) {
        const std::string address = forward("kate@example.com", "srs.example", "current", made);
        EXPECT_EQ(led_to(address, made), "kate@example.com");
        EXPECT_EQ(led_to(address, made + kValidDays), "kate@example.com");
        EXPECT_EQ(led_to(address, made - 1), "kate@example.com") << "a clock that is behind";
        EXPECT_EQ(back(address, made + kValidDays + 1).verdict, Verdict::Expired);
        EXPECT_EQ(back(address, made - 2).verdict, Verdict::Expired);
        EXPECT_EQ(back(address, made + 500).verdict, Verdict::Expired);
    }
}

TEST(Srs, ThatOfAnotherForwarderEndsAfterTheNextSpanOfDays) {
    constexpr std::uint64_t kStart = kToday / kValidDays * kValidDays;
    const std::string first = "SRS0=abcd=TT=example.com=kate@one.example";
    for (const std::uint64_t made : {kStart, kStart + kValidDays - 1}) {
        const std::string address = forward(first, "srs.example", "previous", made);
        EXPECT_EQ(led_to(address, made), first);
        EXPECT_EQ(led_to(address, made - 1), first) << "a clock that is behind";
        EXPECT_EQ(led_to(address, made + kValidDays), first);
        EXPECT_EQ(back(address, kStart + 2 * kValidDays).verdict, Verdict::Forged);
    }
}

TEST(Srs, EachChangedCharacterIsAForgery) {
    const std::string address = path(forward("kate@example.com")).local;
    for (std::size_t i = std::string_view("SRS0=").size(); i < address.size(); ++i) {
        std::string other = address;
        other[i] = other[i] == 'q' ? 'z' : 'q';
        EXPECT_NE(reversed(other, kKeys, kToday).verdict, Verdict::Good) << other;
    }
    EXPECT_EQ(reversed("SRS0=AAAAAA" + address.substr(11), kKeys, kToday).verdict, Verdict::Forged);
}

TEST(Srs, WhatNobodyCanHaveMadeIsAForgery) {
    for (const char* local :
         {"SRS0=", "SRS0==", "SRS0====", "SRS0=AAAAAA=AA==", "SRS0=AAAAAA=AA=example.com=",
          "SRS0=AAAAAA=A=example.com=kate", "SRS0=AAAAAA=A!=example.com=kate",
          "SRS1=", "SRS1==", "SRS1=AAAAAA=", "SRS1=AAAAAA==", "SRS1=AAAAAA=example.com=kate",
          "SRS1=AAAAAA=example.com==", "SRS0+", "srs1-x"}) {
        EXPECT_EQ(reversed(local, kKeys, kToday).verdict, Verdict::Forged) << local;
    }
    const std::string huge = "SRS0=" + std::string(1 << 20, '=');
    EXPECT_EQ(reversed(huge, kKeys, kToday).verdict, Verdict::Forged);
    EXPECT_EQ(reversed(std::string("SRS0=\0\r\n", 8), kKeys, kToday).verdict, Verdict::Forged);
}

TEST(Srs, OtherLocalPartsAreLeftAlone) {
    for (const char* local : {"", "kate", "SRS", "SRS0", "SRS2=x", "xSRS0=x", "SRS0.x"}) {
        EXPECT_EQ(reversed(local, kKeys, kToday).verdict, Verdict::NotOne) << local;
        EXPECT_FALSE(is_rewritten(local));
    }
}

TEST(Srs, NobodyAndTooLongSendersAreNotRewritten) {
    EXPECT_FALSE(forwarded({}, "srs.example", "current", kToday));
    EXPECT_FALSE(forwarded({.local = "postmaster", .domain = ""}, "srs.example", "k", kToday));
    const std::string longest = std::string(64, 'a') + "@" + std::string(60, 'b') + ".example";
    EXPECT_EQ(led_to(forward(longest)), longest) << "more than 64 octets, as elsewhere";
    const std::string label(60, 'c');
    const std::string far = std::string(60, 'a') + "@" + label + "." + label + "." + label;
    EXPECT_EQ(forward(far), "");
}

}  // namespace
}  // namespace muster::wire::srs
