#include "wire/smtp_data.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace muster::wire::smtp {
namespace {

using namespace std::literals;

struct Scanned {
    std::string message;
    std::size_t taken = 0;
    bool done = false;
    Findings findings;
    std::uint64_t size = 0;
    std::uint64_t longest = 0;
    bool operator==(const Scanned&) const = default;
};

/// Feeds the stream in chunks of `step` octets.
Scanned scan(std::string_view stream, std::size_t step) {
    DataScanner scanner;
    Scanned result;
    while (result.taken < stream.size() && !scanner.done())
        result.taken += scanner.feed(stream.substr(result.taken, step), result.message);
    result.done = scanner.done();
    result.findings = scanner.findings();
    result.size = scanner.size();
    result.longest = scanner.longest_line();
    return result;
}

/// The same for every cutting into equal chunks and into two.
Scanned scan(std::string_view stream) {
    auto whole = scan(stream, stream.size() + 1);
    for (std::size_t step = 1; step < stream.size(); ++step) {
        EXPECT_EQ(scan(stream, step), whole) << testing::PrintToString(stream) << " by " << step;
        DataScanner scanner;
        std::string out;
        auto taken = scanner.feed(stream.substr(0, step), out);
        if (taken == step) taken += scanner.feed(stream.substr(step), out);
        EXPECT_EQ(out, whole.message) << testing::PrintToString(stream) << " at " << step;
        EXPECT_EQ(taken, whole.taken);
        EXPECT_EQ(scanner.findings(), whole.findings);
    }
    return whole;
}

TEST(DataScanner, messages) {
    struct Row {
        std::string_view stream;
        std::string_view message;
        std::string_view left;
    };
    for (auto [stream, message, left] : {
             Row{".\r\n", "", ""},
             Row{".\r\nQUIT\r\n", "", "QUIT\r\n"},
             Row{"\r\n.\r\n", "\r\n", ""},
             Row{"a\r\n.\r\n", "a\r\n", ""},
             Row{"a\r\nb\r\n\r\n.\r\nMAIL", "a\r\nb\r\n\r\n", "MAIL"},
             Row{"..\r\n.\r\n", ".\r\n", ""},
             Row{"...\r\n..\r\n.\r\n.\r\n", "..\r\n.\r\n", ".\r\n"},
             Row{".a\r\n..b\r\n.\r\n", "a\r\n.b\r\n", ""},
             Row{"a.\r\n b.c\r\n.\r\n", "a.\r\n b.c\r\n", ""},
             Row{". \r\n.\r\n", " \r\n", ""},
         }) {
        auto result = scan(stream);
        EXPECT_TRUE(result.done) << stream;
        EXPECT_EQ(result.message, message);
        EXPECT_EQ(stream.substr(result.taken), left);
        EXPECT_EQ(result.size, message.size());
        EXPECT_EQ(result.findings, Findings{});
    }
    auto open = scan("a\r\n.");
    EXPECT_FALSE(open.done);
    EXPECT_EQ(open.message, "a\r\n");
}

/// Everything that some server once took for the end of a message (SMTP smuggling, 2023 and 2024).
TEST(DataScanner, only_one_end) {
    for (auto end : {
             "\n.\n"sv,         "\n.\r\n"sv,       "\r\n.\n"sv,       "\r.\r"sv,
             "\r\n.\r"sv,       "\r.\r\n"sv,       "\r.\n"sv,         "\n.\r"sv,
             "\r\r\n.\r\r\n"sv, "\r\n\x00.\r\n"sv, "\r\n.\x00\r\n"sv, "\r\n.\r\x00\n"sv,
             "\r\n.\r\r\n"sv,   "\n\n.\n\n"sv,     "\n\r.\n\r"sv,     "\r\n .\r\n"sv,
             "\r\n. \r\n"sv,    "\x85.\x85"sv,     "\r\n.\v"sv,       "\x8a.\x8a"sv,
         }) {
        auto smuggled = "a" + std::string(end) + "MAIL FROM:<x@y>\r\n";
        auto stream = smuggled + ".\r\nQUIT";
        auto result = scan(stream);
        EXPECT_TRUE(result.done);
        EXPECT_EQ(stream.substr(result.taken), "QUIT") << testing::PrintToString(end);
        EXPECT_TRUE(result.message.ends_with("MAIL FROM:<x@y>\r\n"));
        bool clean = end == "\r\n .\r\n"sv || end == "\r\n. \r\n"sv || end == "\r\n.\v"sv ||
                     end[0] == '\x85' || end[0] == '\x8a';
        const auto& found = result.findings;
        EXPECT_EQ(found.bare() || found.nul, !clean) << testing::PrintToString(end);
        // Sent on nonetheless, it is still one message, now without anything bare.
        DotStuffer stuffer;
        std::string wire;
        stuffer.feed(result.message, wire);
        stuffer.finish(wire);
        auto again = scan(wire);
        EXPECT_TRUE(again.done);
        EXPECT_EQ(again.taken, wire.size()) << testing::PrintToString(wire);
        EXPECT_FALSE(again.findings.bare());
    }
}

TEST(DataScanner, findings) {
    EXPECT_EQ(scan("a\rb\r\n.\r\n").findings, (Findings{.bare_cr = true}));
    EXPECT_EQ(scan("a\nb\r\n.\r\n").findings, (Findings{.bare_lf = true}));
    EXPECT_EQ(scan("\nb\r\n.\r\n").findings, (Findings{.bare_lf = true}));
    EXPECT_EQ(scan("a\r\r\n.\r\n").findings, (Findings{.bare_cr = true}));
    EXPECT_EQ(scan("a\n\rb\r\n.\r\n").findings, (Findings{.bare_cr = true, .bare_lf = true}));
    EXPECT_EQ(scan("a\0b\r\n.\r\n"sv).findings, (Findings{.nul = true}));
    EXPECT_EQ(scan("a\xffz\r\n.\r\n").findings, (Findings{.eight_bit = true}));
    EXPECT_EQ(scan("a\r\n.\r\n\n\r\xff").findings, Findings{}) << "what follows is no message";
}

TEST(DataScanner, longest_line) {
    EXPECT_EQ(scan("a\r\nbcd\r\n\r\n.\r\n").longest, 5);
    EXPECT_EQ(scan("..bcd\r\na\r\n.\r\n").longest, 6) << "without the dot that was stuffed";
    EXPECT_EQ(scan("a\r\nbcdefgh").longest, 7);
    EXPECT_EQ(scan(".\r\n").longest, 0);
    EXPECT_EQ(scan(std::string(1500, 'x') + "\r\n.\r\n", 100).longest, 1502);
}

TEST(BareCheck, chunks) {
    auto check = [](std::initializer_list<std::string_view> chunks) {
        BareCheck bare;
        for (auto chunk : chunks) bare.add(chunk);
        bare.finish();
        return bare.findings();
    };
    EXPECT_EQ(check({"a\r", "\nb"}), Findings{});
    EXPECT_EQ(check({}), Findings{});
    EXPECT_EQ(check({"", "a\r\n", "", ".\r\n"}), Findings{});
    EXPECT_EQ(check({"a\r", "b"}), (Findings{.bare_cr = true}));
    EXPECT_EQ(check({"a\r"}), (Findings{.bare_cr = true}));
    EXPECT_EQ(check({"a", "\nb"}), (Findings{.bare_lf = true}));
    EXPECT_EQ(check({"\r\n", "\n"}), (Findings{.bare_lf = true}));
    EXPECT_EQ(check({"\n", "\r", "\r"}), (Findings{.bare_cr = true, .bare_lf = true}));
}

std::string stuff(std::string_view message, std::size_t step) {
    DotStuffer stuffer;
    std::string out;
    for (std::size_t at = 0; at < message.size(); at += step)
        stuffer.feed(message.substr(at, step), out);
    stuffer.finish(out);
    return out;
}

TEST(DotStuffer, wire_form) {
    struct Row {
        std::string_view message;
        std::string_view wire;
    };
    for (auto [message, wire] : {
             Row{"", ".\r\n"},
             Row{"a", "a\r\n.\r\n"},
             Row{"a\r\n", "a\r\n.\r\n"},
             Row{".", "..\r\n.\r\n"},
             Row{".\r\n", "..\r\n.\r\n"},
             Row{"a\r\n.b\r\n..\r\n", "a\r\n..b\r\n...\r\n.\r\n"},
             Row{"a\r\n\r\n", "a\r\n\r\n.\r\n"},
             Row{"\r\n", "\r\n.\r\n"},
             Row{"a.b\r\n", "a.b\r\n.\r\n"},
             Row{"a\n.\nb", "a\r\n..\r\nb\r\n.\r\n"},
             Row{"a\r.\rb\r", "a\r\n..\r\nb\r\n.\r\n"},
             Row{"a\r\r\n.\r\n", "a\r\n\r\n..\r\n.\r\n"},
             Row{"\n\r", "\r\n\r\n.\r\n"},
         }) {
        for (std::size_t step = 1; step <= message.size() + 1; ++step)
            EXPECT_EQ(stuff(message, step), wire) << testing::PrintToString(message) << step;
    }
}

TEST(DotStuffer, reads_back) {
    std::string message;
    for (int line = 0; line < 500; ++line)
        message += std::string(static_cast<std::size_t>(line) % 7, '.') +
                   std::string(static_cast<std::size_t>(line) % 90, 'x') + "\r\n";
    for (std::size_t step : {1UL, 7UL, 64UL, 4096UL, 1000000UL}) {
        auto result = scan(stuff(message, step), step);
        EXPECT_TRUE(result.done);
        EXPECT_EQ(result.message, message);
    }
}

}  // namespace
}  // namespace muster::wire::smtp
