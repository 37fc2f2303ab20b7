#include "wire/xtext.h"

#include <cstdint>

#include "wire/ascii.h"

namespace muster::wire {
namespace {

constexpr std::string_view kDigits = "0123456789ABCDEF";

bool stands_for_itself(char c) { return is_graphic(c) && c != '+' && c != '='; }

}  // namespace

std::string xtext_encode(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size());
    for (char c : bytes) {
        if (stands_for_itself(c)) {
            out += c;
            continue;
        }
        auto value = static_cast<std::uint8_t>(c);
        out += '+';
        out += kDigits[value >> 4];
        out += kDigits[value & 0xf];
    }
    return out;
}

Result<std::string> xtext_decode(std::string_view text, std::size_t limit) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (out.size() == limit) return fail(ErrorKind::Limit, "xtext too long");
        if (stands_for_itself(text[i])) {
            out += text[i];
            continue;
        }
        if (text[i] != '+' || i + 2 >= text.size()) return fail(ErrorKind::Syntax, "invalid xtext");
        auto high = kDigits.find(text[i + 1]);
        auto low = kDigits.find(text[i + 2]);
        if (high == std::string_view::npos || low == std::string_view::npos)
            return fail(ErrorKind::Syntax, "invalid xtext");
        out += static_cast<char>(high << 4 | low);
        i += 2;
    }
    return out;
}

}  // namespace muster::wire
