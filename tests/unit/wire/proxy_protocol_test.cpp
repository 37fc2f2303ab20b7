#include "wire/proxy_protocol.h"

#include <gtest/gtest.h>

namespace muster::wire::proxy_protocol {
namespace {

using namespace std::literals;

constexpr auto kSignature = "\r\n\r\n\0\r\nQUIT\n"sv;

Endpoint at(std::string_view text) { return *Endpoint::parse(text); }

Header header_of(std::string_view bytes) {
    auto parsed = parse(bytes);
    EXPECT_TRUE(parsed && std::holds_alternative<Header>(*parsed)) << bytes;
    return parsed ? std::get<Header>(*parsed) : Header{};
}

std::string v2(std::string_view command_family, std::string_view block,
               std::string_view size = {}) {
    std::string length{static_cast<char>(block.size() >> 8), static_cast<char>(block.size())};
    return std::string(kSignature)
        .append(command_family)
        .append(size.empty() ? length : size)
        .append(block);
}

TEST(ProxyProtocol, version_1) {
    auto header = header_of("PROXY TCP4 192.0.2.7 192.0.2.1 4711 143\r\na NOOP\r\n");
    EXPECT_FALSE(header.local);
    EXPECT_EQ(header.source, at("192.0.2.7:4711"));
    EXPECT_EQ(header.destination, at("192.0.2.1:143"));
    EXPECT_EQ(header.size, 41U);
    EXPECT_EQ(header_of("PROXY TCP6 2001:db8::7 ::1 1 2\r\n").source, at("[2001:db8::7]:1"));
    EXPECT_TRUE(header_of("PROXY UNKNOWN\r\n").local);
    EXPECT_TRUE(header_of("PROXY UNKNOWN ff:: ff:: 65535 65535\r\n").local);
}

TEST(ProxyProtocol, version_2) {
    auto four = v2("\x21\x11", "\xc0\0\2\7\xc0\0\2\1\x12\x67\0\x8f"sv);
    auto header = header_of(four + "rest");
    EXPECT_EQ(header.source, at("192.0.2.7:4711"));
    EXPECT_EQ(header.destination, at("192.0.2.1:143"));
    EXPECT_EQ(header.size, 28U);
    auto with_tlvs = v2("\x21\x11", "\xc0\0\2\7\xc0\0\2\1\x12\x67\0\x8f\x20\0\1x"sv);
    EXPECT_EQ(header_of(with_tlvs).source, header.source);
    EXPECT_EQ(header_of(with_tlvs).size, 32U);
    EXPECT_TRUE(header_of(v2("\x20\0"sv, "")).local);
    EXPECT_TRUE(header_of(v2("\x20\x11", "junk")).local);
    EXPECT_TRUE(header_of(v2("\x21\0"sv, "tlvs")).local);
    EXPECT_TRUE(header_of(v2("\x21\x31", std::string(216, 'x'))).local);
}

TEST(ProxyProtocol, mapped_addresses_are_ipv4) {
    EXPECT_EQ(header_of("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n").source, at("192.0.2.7:1"));
}

TEST(ProxyProtocol, every_prefix_asks_for_more) {
    for (const auto& whole :
         {write_v1(at("192.0.2.7:4711"), at("192.0.2.1:143")),
          write_v2(at("[2001:db8::7]:1"), at("[::1]:2")), write_v2_local(), "PROXY UNKNOWN\r\n"s}) {
        for (std::size_t size = 0; size < whole.size(); ++size) {
            auto parsed = parse(std::string_view(whole).substr(0, size));
            ASSERT_TRUE(parsed && std::holds_alternative<NeedMore>(*parsed)) << size;
            EXPECT_GT(std::get<NeedMore>(*parsed).size, size);
            EXPECT_LE(std::get<NeedMore>(*parsed).size, whole.size());
        }
        EXPECT_EQ(header_of(whole).size, whole.size());
    }
}

TEST(ProxyProtocol, refused) {
    for (const auto& bytes : {
             "a NOOP\r\n"s,
             "PROXZ"s,
             "PROXY  TCP4 1.1.1.1 1.1.1.1 1 1\r\n"s,
             "PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n"s,
             "PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n"s,
             "PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n"s,
             "PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n"s,
             "PROXY TCP4 1.1.1.1 1.1.1.1 -1 1\r\n"s,
             "PROXY TCP4 ::1 ::1 1 1\r\n"s,
             "PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n"s,
             "PROXY TCP4 1.1.1 1.1.1.1 1 1\r\n"s,
             "PROXY TCP4 1.1.1.1\0 1.1.1.1 1 1\r\n"s,
             "PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n"s,
             "PROXY \n"s,
             "PROXY \r\n"s,
             "PROXY UNKNOWN" + std::string(100, 'x'),
             v2("\x22\x11", std::string(12, '\0')),
             v2("\x31\x11", std::string(12, '\0')),
             v2("\x11\x11", std::string(12, '\0')),
             v2("\x21\x12", std::string(12, '\0')),
             v2("\x21\x11", std::string(11, '\0')),
             v2("\x21\x21", std::string(35, '\0')),
             v2("\x21\x11", "", "\xff\xff"),
             v2("\x20\x00"sv, "", "\x0f\xf1"),
             "\r\n\r\n\0\r\nQUIX"s,
         })
        EXPECT_FALSE(parse(bytes)) << bytes;
}

TEST(ProxyProtocol, written_and_read_again) {
    for (auto [from, to] :
         {std::pair{"192.0.2.7:4711", "192.0.2.1:143"}, std::pair{"[2001:db8::7]:0", "[::1]:65535"},
          std::pair{"192.0.2.7:1", "[2001:db8::1]:2"},
          std::pair{"[2001:db8::1]:2", "192.0.2.7:1"}}) {
        for (const auto& bytes : {write_v1(at(from), at(to)), write_v2(at(from), at(to))}) {
            auto header = header_of(bytes);
            EXPECT_FALSE(header.local);
            EXPECT_EQ(header.source, at(from));
            EXPECT_EQ(header.destination, at(to));
        }
        EXPECT_LE(write_v1(at(from), at(to)).size(), kMaxV1);
    }
    EXPECT_EQ(write_v1(at("192.0.2.7:1"), at("[::1]:2")),
              "PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n");
    auto widest = at("[1111:1111:1111:1111:1111:1111:1111:1111]:65535");
    EXPECT_LE(write_v1(widest, widest).size(), kMaxV1);
}

}  // namespace
}  // namespace muster::wire::proxy_protocol
