#include "base/base64.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

using namespace std::string_view_literals;

TEST(Base64, known_values_both_ways) {
    struct Row {
        std::string_view bytes;
        std::string_view text;
    };
    for (auto [bytes, text] :
         {Row{"", ""}, Row{"f", "Zg=="}, Row{"fo", "Zm8="}, Row{"foo", "Zm9v"},
          Row{"foob", "Zm9vYg=="}, Row{"fooba", "Zm9vYmE="}, Row{"foobar", "Zm9vYmFy"},
          Row{"\0a\0b"sv, "AGEAYg=="}, Row{"\xff\xfe\xfd", "//79"}, Row{"\xfb\xff", "+/8="}}) {
        EXPECT_EQ(base64_encode(bytes), text);
        EXPECT_EQ(base64_decode(text, bytes.size()), bytes);
    }
}

TEST(Base64, refuses_other_spellings) {
    for (auto text :
         {"Z"sv, "Zg"sv, "Zg="sv, "Zg==="sv, "Zh=="sv, "Zm9="sv, "Zm8=Zm8="sv, "===="sv, "=Zm9"sv,
          "Zm9v\r\n"sv, "Zm9 "sv, "Zm-v"sv, "Zm\0v"sv, "Zm\xc3v"sv, "Z==="sv, "=="sv})
        EXPECT_FALSE(base64_decode(text, 100)) << text;
}

TEST(Base64, keeps_its_bound) {
    EXPECT_EQ(base64_decode("Zm9v", 2).error().kind, ErrorKind::Limit);
    EXPECT_EQ(base64_decode("Zm8=", 2), "fo");
}

TEST(Base64, appends) {
    std::string out = "x ";
    append_base64(out, "foob");
    EXPECT_EQ(out, "x Zm9vYg==");
}

TEST(Hex, both_ways) {
    EXPECT_EQ(hex_encode("\0\x9f\xff"sv), "009fff");
    EXPECT_EQ(hex_decode("009fFF", 3), "\0\x9f\xff"sv);
    EXPECT_EQ(hex_decode("", 0), "");
    for (auto text : {"0", "0g", " 0", "+1"}) EXPECT_FALSE(hex_decode(text, 10)) << text;
    EXPECT_EQ(hex_decode("0000", 1).error().kind, ErrorKind::Limit);
}

}  // namespace
}  // namespace muster
