#include "state/json_text.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace muster::state {
namespace {

TEST(JsonText, AgreesWithAFullParser) {
    for (const char* text :
         {"{}", "[]", "0", "-0", "-1.5e+10", "true", "false", "null", R"("")", R"("\u00e4\n")",
          R"({"a":[1,2,{"b":null}],"c":"d"})", R"({ "a" : 1 , "b" : [ 1 , 2 ] })",
          R"("\ud83d\ude00")", "\"\xc3\xa4\xf0\x9f\x98\x80\"",
          // and what is none
          "", "{", "}", "[1,]", "{,}", "{\"a\"}", "{\"a\":}", "{a:1}", "01", "-", "1.", "1e", ".5",
          "+1", "tru", "nul", R"("\x")", R"("\u12g4")", R"("\ud83d")", R"("\ude00")",
          R"("\ud83d\u0041")", "\"\xc3\"", "\"\xed\xa0\x80\"", "\"\xc0\x80\"",
          "\"\xf5\x80\x80\x80\"", "\"", "\"\x01\"", "[1 2]", "{\"a\":1 \"b\":2}", "'a'", "NaN"}) {
        const std::string_view view(text);
        const bool whole = !view.empty() && json_length(view) == view.size();
        EXPECT_EQ(whole, nlohmann::json::accept(view)) << text;
    }
}

TEST(JsonText, EndsWithItsValue) {
    EXPECT_EQ(json_length(R"({"a":1},"revision":5})"), 7U);
    EXPECT_EQ(json_length("12,"), 2U);
    EXPECT_EQ(json_length("{\n}"), 0U);
    EXPECT_EQ(json_length(" {}"), 0U);
}

TEST(JsonText, BoundsDepthAndNumbers) {
    EXPECT_EQ(json_length(std::string(64, '[') + std::string(64, ']')), 128U);
    EXPECT_EQ(json_length("1e99"), 4U);
    EXPECT_EQ(json_length("1e999"), 0U);
    EXPECT_EQ(json_length(std::string(400, '9')), 0U);
    EXPECT_EQ(json_length(std::string(65, '[') + std::string(65, ']')), 0U);
}

TEST(JsonText, WritesStrings) {
    std::string out;
    append_json_string(out, R"(a"b\c)");
    EXPECT_EQ(out, R"("a\"b\\c")");
}

}  // namespace
}  // namespace muster::state
