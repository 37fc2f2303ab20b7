#pragma once
// UTF-8 as the mail standards use it (RFC 3629): addresses of RFC 6531 and reports of RFC 6533.

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace muster::wire {

/// Octets of the character that `text` begins with, 1 to 4; 0 if it is no valid UTF-8 (overlong,
/// a surrogate, past U+10FFFF, cut off) or `text` is empty.
[[nodiscard]] std::size_t utf8_character(std::string_view text);
[[nodiscard]] bool is_utf8(std::string_view text);
[[nodiscard]] inline bool is_ascii(std::string_view text) {
    return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) > 0x7f; });
}

}  // namespace muster::wire
