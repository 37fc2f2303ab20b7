#include "net/line_reader.h"

#include <gtest/gtest.h>

#include "scripted_stream.h"

namespace muster::net {
namespace {

struct Read {
    std::vector<std::string> lines;
    std::vector<LineFault> faults;
};

Task<void> read_all(LineReader& reader, std::size_t limit, Read& into) {
    while (auto line = co_await reader.line(limit)) {
        into.lines.emplace_back(line->text);
        into.faults.push_back(line->fault);
        if (line->fault == LineFault::TooLong) co_return;
    }
}

Read read(std::deque<std::string> pieces, std::size_t limit = 100) {
    ScriptedStream stream(std::move(pieces));
    LineReader reader(stream);
    Read result;
    TaskGroup group;
    group.spawn(read_all(reader, limit, result));
    return result;
}

TEST(LineReader, SplitsAtCrlfAndLfWhateverThePieces) {
    EXPECT_EQ(read({"one\r", "\ntw", "o\nthr", "ee\r\nrest"}).lines,
              (std::vector<std::string>{"one", "two", "three"}));
}

TEST(LineReader, ReportsLongLinesWithoutReadingThemToTheirEnd) {
    EXPECT_EQ(read({std::string(5000, 'x')}, 100).faults, (std::vector{LineFault::TooLong}));
    EXPECT_EQ(read({std::string(101, 'x') + "\r\n"}, 100).faults,
              (std::vector{LineFault::TooLong}));
    EXPECT_EQ(read({std::string(100, 'x') + "\r\n"}, 100).faults, (std::vector{LineFault::None}));
}

TEST(LineReader, ReportsNulAndBareCr) {
    EXPECT_EQ(read({std::string("a\0b\r\n", 5), "a\rb\r\n"}).faults,
              (std::vector{LineFault::BadByte, LineFault::BadByte}));
}

Task<void> read_mixed(LineReader& reader, std::string& literal, std::string& rest) {
    co_await reader.line(100);
    const auto bytes = co_await reader.exactly(5);
    literal = bytes.value();
    rest = reader.take_rest();
}

TEST(LineReader, HandsOverWhatItReadAhead) {
    ScriptedStream stream({"line\r\n12", "345pipelined"});
    LineReader reader(stream);
    std::string literal;
    std::string rest;
    TaskGroup group;
    group.spawn(read_mixed(reader, literal, rest));
    EXPECT_EQ(literal, "12345");
    EXPECT_EQ(rest, "pipelined");
    EXPECT_FALSE(reader.has_more());
}

}  // namespace
}  // namespace muster::net
