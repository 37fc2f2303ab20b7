#include "wire/utf8.h"

#include <cstdint>

namespace muster::wire {
namespace {

struct Shape {
    std::size_t size;
    std::uint32_t bits;   ///< of the first octet
    std::uint32_t least;  ///< smaller values would be overlong
};

Shape shape_of(unsigned char first) {
    if (first < 0x80) return {1, first, 0};
    if (first >= 0xc2 && first < 0xe0) return {2, first & 0x1fU, 0x80};
    if (first >= 0xe0 && first < 0xf0) return {3, first & 0x0fU, 0x800};
    if (first >= 0xf0 && first < 0xf5) return {4, first & 0x07U, 0x10000};
    return {0, 0, 0};
}

}  // namespace

std::size_t utf8_character(std::string_view text) {
    if (text.empty()) return 0;
    auto [size, value, least] = shape_of(static_cast<unsigned char>(text[0]));
    if (size == 0 || size > text.size()) return 0;
    for (char c : text.substr(1, size - 1)) {
        auto octet = static_cast<unsigned char>(c);
        if ((octet & 0xc0) != 0x80) return 0;
        value = value << 6 | (octet & 0x3fU);
    }
    bool surrogate = value >= 0xd800 && value < 0xe000;
    return value < least || value > 0x10ffff || surrogate ? 0 : size;
}

bool is_utf8(std::string_view text) {
    if (is_ascii(text)) return true;
    while (!text.empty()) {
        auto size = utf8_character(text);
        if (size == 0) return false;
        text.remove_prefix(size);
    }
    return true;
}

}  // namespace muster::wire
