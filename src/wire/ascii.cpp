#include "wire/ascii.h"

#include <algorithm>

namespace muster::wire {

int compare_folded(std::string_view a, std::string_view b) {
    std::size_t common = std::min(a.size(), b.size());
    for (std::size_t i = 0; i < common; ++i) {
        auto left = static_cast<unsigned char>(lower(a[i]));
        auto right = static_cast<unsigned char>(lower(b[i]));
        if (left != right) return left < right ? -1 : 1;
    }
    if (a.size() == b.size()) return 0;
    return a.size() < b.size() ? -1 : 1;
}

bool equal_folded(std::string_view a, std::string_view b) {
    return a.size() == b.size() && compare_folded(a, b) == 0;
}

bool starts_folded(std::string_view text, std::string_view prefix) {
    return equal_folded(text.substr(0, prefix.size()), prefix);
}

std::string to_upper(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), upper);
    return out;
}

std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t limit) {
    if (text.empty()) return std::nullopt;
    std::uint64_t value = 0;
    for (char c : text) {
        if (!is_digit(c)) return std::nullopt;
        auto digit = static_cast<std::uint64_t>(c - '0');
        if (digit > limit || value > (limit - digit) / 10) return std::nullopt;
        value = value * 10 + digit;
    }
    return value;
}

std::string_view take_until(std::string_view& text, char separator) {
    auto end = text.find(separator);
    auto taken = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return taken;
}

std::string_view take_word(std::string_view& text) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    return take_until(text, ' ');
}

std::string_view trim_spaces(std::string_view text) {
    auto first = text.find_first_not_of(' ');
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

bool fits_a_line(std::string_view text) {
    return std::ranges::none_of(text, [](char c) { return c == '\0' || c == '\r' || c == '\n'; });
}

}  // namespace muster::wire
