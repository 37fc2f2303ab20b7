#include "wire/strings.h"

#include <gtest/gtest.h>

namespace muster::wire {
namespace {

using namespace std::string_view_literals;

TEST(TrailingLiteral, announcements) {
    struct Row {
        std::string_view line;
        Literal literal;
    };
    for (auto [line, literal] : {
             Row{"a LOGIN {5}", {5, true}},
             Row{"a LOGIN {5+}", {5, false}},
             Row{"{0+}", {0, false}},
             Row{"a ID ({0003}", {3, true}},
             Row{R"(a LOGIN "x\"y" {7})", {7, true}},
             Row{"a LOGIN {4294967294}", {4294967294, true}},
             Row{"a LOGIN {4294967296}", {kLiteralTooLarge, true}},
             Row{"a LOGIN {99999999999999999999+}", {kLiteralTooLarge, false}},
             Row{"a LOGIN {18446744073709551617}", {kLiteralTooLarge, true}},
         })
        EXPECT_EQ(trailing_literal(line), literal) << line;
}

TEST(TrailingLiteral, none) {
    for (auto line : {"", "a NOOP", R"(a LOGIN "{5}")", "a LOGIN {5} ", "a LOGIN {5}x", "{", "}",
                      "a LOGIN kate pass}"})
        EXPECT_EQ(trailing_literal(line), std::nullopt) << line;
}

TEST(TrailingLiteral, broken) {
    for (auto line : {"a LOGIN {}", "a LOGIN {+}", "a LOGIN {-1}", "a LOGIN {5-}", "a LOGIN {5++}",
                      "a LOGIN { 5}", "a LOGIN x{5}", "a LOGIN {{5}", R"(a LOGIN "x {5})",
                      R"(a LOGIN "x\" {5})", "a LOGIN ~{5}", "a LOGIN {0x5}"})
        EXPECT_EQ(trailing_literal(line).error().kind, ErrorKind::Syntax) << line;
}

TEST(CommandAssembler, keeps_the_wire_form) {
    CommandAssembler assembler;
    EXPECT_EQ(assembler.add_line("a LOGIN {5}"), (Literal{5, true}));
    ASSERT_TRUE(assembler.add_literal("alice"));
    EXPECT_EQ(assembler.add_line(" {6+}"), (Literal{6, false}));
    ASSERT_TRUE(assembler.add_literal("se\r\n}t"));
    EXPECT_EQ(assembler.add_line(""), std::nullopt);
    EXPECT_EQ(assembler.text(), "a LOGIN {5}\r\nalice {6+}\r\nse\r\n}t");
    assembler.clear();
    EXPECT_EQ(assembler.add_line("b NOOP"), std::nullopt);
    EXPECT_EQ(assembler.text(), "b NOOP");
}

TEST(CommandAssembler, keeps_its_bounds) {
    CommandAssembler assembler({.total = 40, .literal = 10, .literals = 2});
    EXPECT_EQ(assembler.add_line("a X {11+}").error().kind, ErrorKind::Limit);
    EXPECT_EQ(assembler.refused_literal(), (Literal{11, false}));
    assembler.clear();
    EXPECT_FALSE(assembler.refused_literal());
    EXPECT_FALSE(assembler.add_line(std::string(41, 'x')));
    EXPECT_FALSE(assembler.refused_literal());
    for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(assembler.add_line(" {0}"));
        ASSERT_TRUE(assembler.add_literal(""));
    }
    EXPECT_FALSE(assembler.add_line(" {0}"));
    EXPECT_EQ(assembler.refused_literal(), (Literal{0, true}));
    assembler.clear();
    EXPECT_FALSE(assembler.add_line(std::string(30, 'x') + " {9}"));  // would pass the total
}

TEST(CommandAssembler, refuses_a_literal_of_another_size) {
    CommandAssembler assembler;
    ASSERT_TRUE(assembler.add_line("a X {3}"));
    EXPECT_FALSE(assembler.add_literal("ab"));
}

TEST(StringReader, quoted_strings) {
    StringReader reader(R"("a" "b\"\\c" "" "x\\y" "ü{")");
    std::vector<std::string_view> strings;
    while (!reader.at_end()) {
        auto text = reader.string(10);
        ASSERT_TRUE(text);
        strings.push_back(*text);
        reader.skip_spaces();
    }
    EXPECT_EQ(strings, (std::vector<std::string_view>{"a", R"(b"\c)", "", R"(x\y)", "ü{"}));
}

TEST(StringReader, broken_quoted_strings) {
    for (auto text : {""sv, "a"sv, R"(")"sv, R"("a)"sv, R"("a\")"sv, R"("a\x")"sv, "\"a\0b\""sv,
                      "\"a\rb\""sv, "\"a\nb\""sv, R"("\)"sv}) {
        StringReader reader(text);
        EXPECT_FALSE(reader.quoted(100)) << text;
    }
    StringReader reader(R"("12345")");
    EXPECT_EQ(reader.quoted(4).error().kind, ErrorKind::Limit);
}

TEST(StringReader, literals) {
    StringReader reader("{5}\r\na\r\nb} {0+}\r\nx");
    EXPECT_EQ(reader.string(10), "a\r\nb}");
    EXPECT_TRUE(reader.skip(' '));
    EXPECT_EQ(reader.string(10), "");
    EXPECT_EQ(reader.rest(), "x");
}

TEST(StringReader, broken_literals) {
    for (auto text :
         {"{5}"sv, "{5}\r\nabcd"sv, "{5}\nabcde"sv, "{x}\r\nabcde"sv, "{5\r\nabcde"sv,
          "{4294967295}\r\nabc"sv, "{3}\r\na\0c"sv, "{99999999999999999999}\r\nabc"sv}) {
        StringReader reader(text);
        EXPECT_FALSE(reader.literal(100)) << text;
    }
    StringReader reader("{5}\r\nabcde");
    EXPECT_EQ(reader.literal(4).error().kind, ErrorKind::Limit);
}

TEST(AppendQuoted, escapes) {
    std::string out;
    append_quoted(out, R"(a"b\c)");
    EXPECT_EQ(out, R"("a\"b\\c")");
}

}  // namespace
}  // namespace muster::wire
