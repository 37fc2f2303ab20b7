// The account row of the hot path: one pass over a flat object, no tree, no allocation.

#include <charconv>
#include <optional>

#include "cluster/entry_codec.h"

namespace muster::cluster {
namespace {

class Scanner {
public:
    explicit Scanner(std::string_view text) : text_(text) {}

    bool eat(char wanted) {
        skip_space();
        if (at_ >= text_.size() || text_[at_] != wanted) return false;
        ++at_;
        return true;
    }

    [[nodiscard]] bool at_end() {
        skip_space();
        return at_ == text_.size();
    }

    /// The text between two quotes, escapes left as they are.
    std::optional<std::string_view> quoted() {
        if (!eat('"')) return std::nullopt;
        const std::size_t start = at_;
        while (at_ < text_.size()) {
            if (text_[at_] == '"') return text_.substr(start, at_++ - start);
            at_ += text_[at_] == '\\' ? 2 : 1;
        }
        return std::nullopt;
    }

    std::optional<std::uint64_t> number() {
        skip_space();
        std::uint64_t value = 0;
        const char* end = text_.data() + text_.size();
        const auto parsed = std::from_chars(text_.data() + at_, end, value);
        if (parsed.ec != std::errc{}) return std::nullopt;
        at_ = static_cast<std::size_t>(parsed.ptr - text_.data());
        return value;
    }

    /// Any value; what it says does not matter here.
    bool skip_value() {
        std::size_t depth = 0;
        do {
            skip_space();
            if (at_ >= text_.size()) return false;
            const char c = text_[at_];
            if (c == '"') {
                if (!quoted()) return false;
            } else if (c == '{' || c == '[') {
                ++depth;
                ++at_;
            } else if (depth > 0 && (c == '}' || c == ']')) {
                --depth;
                ++at_;
            } else if (depth > 0 && (c == ',' || c == ':')) {
                ++at_;
            } else if (!skip_word()) {
                return false;
            }
        } while (depth > 0);
        return true;
    }

private:
    void skip_space() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
    }

    bool skip_word() {
        const std::size_t start = at_;
        while (at_ < text_.size() &&
               std::string_view(" \t,:{}[]\"").find(text_[at_]) == std::string_view::npos) {
            ++at_;
        }
        return at_ > start;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

bool read_text(Scanner& scanner, std::string_view& out) {
    const auto text = scanner.quoted();
    if (!text || text->find('\\') != text->npos) return false;
    out = *text;
    return true;
}

bool read_number(Scanner& scanner, std::uint64_t& out) {
    const auto number = scanner.number();
    if (number) out = *number;
    return number.has_value();
}

bool read_field(Scanner& scanner, AccountRow& row) {
    const auto field = scanner.quoted();
    if (!field || !scanner.eat(':')) return false;
    if (*field == "id") return read_text(scanner, row.id);
    if (*field == "home") return read_text(scanner, row.home);
    if (*field == "quota") return read_number(scanner, row.quota);
    if (*field == "epoch") return read_number(scanner, row.epoch);
    if (*field != "state") return scanner.skip_value();
    std::string_view state;
    if (!read_text(scanner, state)) return false;
    row.disabled = state != "active";
    return true;
}

}  // namespace

Result<AccountRow> decode_account_row(std::string_view json) {
    Scanner scanner(json);
    AccountRow row;
    bool good = scanner.eat('{');
    if (good && !scanner.eat('}')) {
        do {
            good = read_field(scanner, row);
        } while (good && scanner.eat(','));
        good = good && scanner.eat('}');
    }
    if (!good || !scanner.at_end() || row.id.empty()) {
        return fail(ErrorKind::Corrupt, "the directory is damaged", "an account row is damaged");
    }
    return row;
}

}  // namespace muster::cluster
