#include "wire/ascii.h"

#include <gtest/gtest.h>

namespace muster::wire {
namespace {

using namespace std::string_view_literals;

TEST(Ascii, compares_without_case) {
    EXPECT_TRUE(equal_folded("LoGin", "login"));
    EXPECT_FALSE(equal_folded("login", "login "));
    EXPECT_FALSE(equal_folded("\xc4", "\xe4"));  // no locale
    EXPECT_LT(compare_folded("AUTH", "auth=plain"), 0);
    EXPECT_GT(compare_folded("b", "A"), 0);
    EXPECT_GT(compare_folded("\xff", "a"), 0);
    EXPECT_TRUE(starts_folded("X-foo", "x-"));
    EXPECT_FALSE(starts_folded("x", "x-"));
    EXPECT_EQ(to_upper("plain-1\xe4"), "PLAIN-1\xe4");
}

TEST(Ascii, numbers_never_wrap) {
    EXPECT_EQ(parse_number("0"), 0U);
    EXPECT_EQ(parse_number("0042"), 42U);
    EXPECT_EQ(parse_number("18446744073709551615"), UINT64_MAX);
    EXPECT_EQ(parse_number("255", 255), 255U);
    for (auto text : {""sv, "-1"sv, "+1"sv, " 1"sv, "1 "sv, "0x1"sv, "1\0"sv,
                      "18446744073709551616"sv, "99999999999999999999999999"sv})
        EXPECT_FALSE(parse_number(text)) << text;
    EXPECT_FALSE(parse_number("256", 255));
    EXPECT_FALSE(parse_number("4294967296", UINT32_MAX));
    EXPECT_FALSE(parse_number("9", 8));
}

TEST(Ascii, takes_words) {
    std::string_view text = "  a  bc ";
    EXPECT_EQ(take_word(text), "a");
    EXPECT_EQ(take_word(text), "bc");
    EXPECT_EQ(take_word(text), "");
    text = "k=v=w";
    EXPECT_EQ(take_until(text, '='), "k");
    EXPECT_EQ(take_until(text, ','), "v=w");
    EXPECT_EQ(text, "");
    EXPECT_EQ(trim_spaces("  a b  "), "a b");
    EXPECT_EQ(trim_spaces("   "), "");
}

TEST(Ascii, what_fits_a_line) {
    EXPECT_TRUE(fits_a_line("abc\t\xff"));
    for (auto text : {"a\r"sv, "a\nb"sv, "\0"sv}) EXPECT_FALSE(fits_a_line(text));
}

}  // namespace
}  // namespace muster::wire
