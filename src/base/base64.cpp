#include "base/base64.h"

#include <array>
#include <cstdint>

namespace muster {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::uint8_t kInvalid = 0xff;

constexpr auto kSextets = [] {
    std::array<std::uint8_t, 256> table{};
    table.fill(kInvalid);
    for (std::size_t i = 0; i < kAlphabet.size(); ++i)
        table[static_cast<std::uint8_t>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
    return table;
}();

constexpr std::uint32_t byte(char c) { return static_cast<std::uint8_t>(c); }
constexpr char letter(std::uint32_t bits) { return kAlphabet[bits & 0x3f]; }

/// The 6 bits of up to four characters as 24 bits; false for a character outside the alphabet.
bool gather(std::string_view four, std::uint32_t& bits) {
    bits = 0;
    std::uint8_t bad = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        std::uint8_t sextet = i < four.size() ? kSextets[byte(four[i])] : std::uint8_t{0};
        bad |= sextet & 0x80;
        bits = bits << 6 | (sextet & 0x3fU);
    }
    return bad == 0;
}

void append_bytes(std::string& out, std::uint32_t bits, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) out += static_cast<char>(bits >> (16 - 8 * i) & 0xff);
}

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

void append_base64(std::string& out, std::string_view bytes) {
    out.reserve(out.size() + (bytes.size() + 2) / 3 * 4);
    while (bytes.size() >= 3) {
        std::uint32_t bits = byte(bytes[0]) << 16 | byte(bytes[1]) << 8 | byte(bytes[2]);
        for (int shift : {18, 12, 6, 0}) out += letter(bits >> shift);
        bytes.remove_prefix(3);
    }
    if (bytes.empty()) return;
    std::uint32_t bits = byte(bytes[0]) << 16 | (bytes.size() > 1 ? byte(bytes[1]) << 8 : 0);
    out += letter(bits >> 18);
    out += letter(bits >> 12);
    out += bytes.size() > 1 ? letter(bits >> 6) : '=';
    out += '=';
}

std::string base64_encode(std::string_view bytes) {
    std::string out;
    append_base64(out, bytes);
    return out;
}

Result<std::string> base64_decode(std::string_view text, std::size_t limit) {
    if (text.size() % 4 != 0) return fail(ErrorKind::Syntax, "invalid base64");
    std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
    std::size_t size = text.size() / 4 * 3 - padding;
    if (size > limit) return fail(ErrorKind::Limit, "base64 text too long");
    std::string out;
    out.reserve(size);
    text.remove_suffix(padding);
    for (std::size_t at = 0; at < text.size(); at += 4) {
        auto four = text.substr(at, 4);
        std::uint32_t bits = 0;
        if (!gather(four, bits)) return fail(ErrorKind::Syntax, "invalid base64");
        std::size_t count = four.size() - 1;
        if ((bits & ((1U << (24 - 8 * count)) - 1)) != 0)
            return fail(ErrorKind::Syntax, "invalid base64");
        append_bytes(out, bits, count);
    }
    return out;
}

std::string hex_encode(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size() * 2);
    for (char c : bytes) {
        out += kHexDigits[byte(c) >> 4];
        out += kHexDigits[byte(c) & 0xf];
    }
    return out;
}

Result<std::string> hex_decode(std::string_view text, std::size_t limit) {
    if (text.size() % 2 != 0) return fail(ErrorKind::Syntax, "odd number of hexadecimal digits");
    if (text.size() / 2 > limit) return fail(ErrorKind::Limit, "hexadecimal text too long");
    std::string out;
    out.reserve(text.size() / 2);
    for (std::size_t i = 0; i < text.size(); i += 2) {
        int high = hex_value(text[i]);
        int low = hex_value(text[i + 1]);
        if (high < 0 || low < 0) return fail(ErrorKind::Syntax, "not hexadecimal");
        out += static_cast<char>(high << 4 | low);
    }
    return out;
}

}  // namespace muster
