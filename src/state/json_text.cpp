#include "state/json_text.h"

#include <cstdint>

namespace muster::state {
namespace {

constexpr int kMaxDepth = 64;
/// Within these every number fits a double, which is what readers make of it.
constexpr std::size_t kMaxNumber = 40;
constexpr std::size_t kMaxExponent = 2;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/// A cursor over the text; every function returns false where the grammar is broken.
class Scanner {
public:
    explicit Scanner(std::string_view text) : text_(text) {}

    bool value(int depth) {
        if (depth > kMaxDepth) return false;
        switch (peek()) {
            case '{': return object(depth);
            case '[': return array(depth);
            case '"': return string();
            case 't': return word("true");
            case 'f': return word("false");
            case 'n': return word("null");
            default: return number();
        }
    }
    [[nodiscard]] std::size_t position() const { return at_; }

private:
    [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    bool take(char c) {
        if (peek() != c) return false;
        ++at_;
        return true;
    }
    void blanks() {
        while (peek() == ' ' || peek() == '\t') ++at_;
    }
    bool word(std::string_view expected) {
        if (!text_.substr(at_).starts_with(expected)) return false;
        at_ += expected.size();
        return true;
    }

    bool object(int depth) {
        ++at_;
        blanks();
        if (take('}')) return true;
        while (true) {
            blanks();
            if (!string()) return false;
            blanks();
            if (!take(':')) return false;
            blanks();
            if (!value(depth + 1)) return false;
            blanks();
            if (take('}')) return true;
            if (!take(',')) return false;
        }
    }

    bool array(int depth) {
        ++at_;
        blanks();
        if (take(']')) return true;
        while (true) {
            blanks();
            if (!value(depth + 1)) return false;
            blanks();
            if (take(']')) return true;
            if (!take(',')) return false;
        }
    }

    bool digits() {
        const std::size_t begin = at_;
        while (is_digit(peek())) ++at_;
        return at_ > begin;
    }

    bool number() {
        const std::size_t begin = at_;
        take('-');
        if (!take('0') && !digits()) return false;
        if (take('.') && !digits()) return false;
        if (at_ - begin > kMaxNumber) return false;
        if (!take('e') && !take('E')) return true;
        if (!take('+')) take('-');
        const std::size_t exponent = at_;
        return digits() && at_ - exponent <= kMaxExponent;
    }

    bool string() {
        if (!take('"')) return false;
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '"') return take('"');
            if (c == '\\') {
                if (!escape()) return false;
                continue;
            }
            if (static_cast<unsigned char>(c) < 0x20) return false;
            const std::size_t length = utf8_length(text_.substr(at_));
            if (length == 0) return false;
            at_ += length;
        }
        return false;
    }

    bool escape() {
        ++at_;
        const char kind = peek();
        ++at_;
        if (kind != 'u') return kind != '\0' && std::string_view("\"\\/bfnrt").contains(kind);
        const auto unit = hex_unit();
        if (unit < 0 || (unit >= 0xDC00 && unit <= 0xDFFF)) return false;
        if (unit < 0xD800 || unit > 0xDBFF) return true;
        if (!word("\\u")) return false;  // a high surrogate needs its low one
        const auto low = hex_unit();
        return low >= 0xDC00 && low <= 0xDFFF;
    }

    /// Four hexadecimal digits, or -1.
    int hex_unit() {
        int unit = 0;
        for (int i = 0; i < 4; ++i, ++at_) {
            const char c = peek();
            if (!is_hex(c)) return -1;
            unit = unit * 16 + (is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
        }
        return unit;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace

std::size_t json_length(std::string_view text) {
    Scanner scanner(text);
    return scanner.value(1) ? scanner.position() : 0;
}

std::size_t utf8_length(std::string_view text) {
    const auto byte = [&](std::size_t i) {
        return i < text.size() ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0};
    };
    const auto continues = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
    const std::uint8_t first = byte(0);
    if (text.empty()) return 0;
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        if (first == 0xE0 && byte(1) < 0xA0) return 0;  // overlong
        if (first == 0xED && byte(1) > 0x9F) return 0;  // surrogates
        return continues(1) && continues(2) ? 3 : 0;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        if (first == 0xF0 && byte(1) < 0x90) return 0;
        if (first == 0xF4 && byte(1) > 0x8F) return 0;
        return continues(1) && continues(2) && continues(3) ? 4 : 0;
    }
    return 0;
}

void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    out += '"';
}

}  // namespace muster::state
