#pragma once
// What every line grammar needs: comparison without case, words, bounded numbers. ASCII only, no
// locale, no allocation.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace muster::wire {

[[nodiscard]] constexpr char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}
[[nodiscard]] constexpr char upper(char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c;
}
[[nodiscard]] constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
[[nodiscard]] constexpr bool is_letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }
/// 0x21 to 0x7e: visible, not the space.
[[nodiscard]] constexpr bool is_graphic(char c) { return c > ' ' && c < '\x7f'; }

/// Three-way comparison without case: negative, 0 or positive.
[[nodiscard]] int compare_folded(std::string_view a, std::string_view b);
[[nodiscard]] bool equal_folded(std::string_view a, std::string_view b);
[[nodiscard]] bool starts_folded(std::string_view text, std::string_view prefix);
[[nodiscard]] std::string to_upper(std::string_view text);

/// Decimal digits only; nothing for an empty text, other characters, or more than `limit`. Never
/// wraps around, however many digits there are.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text,
                                                        std::uint64_t limit = UINT64_MAX);

/// Cuts the text before the first `separator` off the front of `text` and drops the separator.
/// Without a separator it takes everything.
std::string_view take_until(std::string_view& text, char separator);
/// The next word of a list separated by one or more spaces; empty at the end.
std::string_view take_word(std::string_view& text);
[[nodiscard]] std::string_view trim_spaces(std::string_view text);

/// No NUL, CR or LF: may stand in a line of any of these protocols.
[[nodiscard]] bool fits_a_line(std::string_view text);

}  // namespace muster::wire
