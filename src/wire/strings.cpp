#include "wire/strings.h"

#include "wire/ascii.h"

namespace muster::wire {
namespace {

constexpr std::string_view kCrlf = "\r\n";

auto syntax(const char* text) { return fail(ErrorKind::Syntax, text); }
auto too_long() { return fail(ErrorKind::Limit, "Argument too long"); }

/// Whether a quoted string is still open at the end of `text`.
bool ends_inside_quotes(std::string_view text) {
    bool inside = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (inside && text[i] == '\\') {
            ++i;
        } else if (text[i] == '"') {
            inside = !inside;
        }
    }
    return inside;
}

/// `{N}` or `{N+}`, nothing around it.
std::optional<Literal> parse_announcement(std::string_view text) {
    if (text.size() < 3 || text.front() != '{' || text.back() != '}') return std::nullopt;
    auto digits = text.substr(1, text.size() - 2);
    bool synchronising = !digits.ends_with('+');
    if (!synchronising) digits.remove_suffix(1);
    if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos)
        return std::nullopt;
    auto size = parse_number(digits, kLiteralTooLarge).value_or(kLiteralTooLarge);
    return Literal{static_cast<std::uint32_t>(size), synchronising};
}

}  // namespace

Result<std::optional<Literal>> trailing_literal(std::string_view line) {
    if (!line.ends_with('}')) return std::nullopt;
    auto open = line.rfind('{');
    if (open == std::string_view::npos) return std::nullopt;  // an atom may end with a brace
    if (ends_inside_quotes(line.substr(0, open))) return syntax("Unterminated string");
    auto literal = parse_announcement(line.substr(open));
    bool separate = open == 0 || line[open - 1] == ' ' || line[open - 1] == '(';
    if (!literal || !separate) return syntax("Invalid literal");
    return literal;
}

Result<std::optional<Literal>> CommandAssembler::add_line(std::string_view line) {
    if (text_.size() + line.size() > limits_.total) {
        refused_ = trailing_literal(line).value_or(std::nullopt);
        return fail(ErrorKind::Limit, "Command too long");
    }
    text_ += line;
    auto literal = trailing_literal(line);
    if (!literal || !*literal) return literal;
    if (!(*literal)->fits(limits_.literal) || ++literals_ > limits_.literals ||
        text_.size() + kCrlf.size() + (*literal)->size > limits_.total) {
        refused_ = *literal;
        return fail(ErrorKind::Limit, "Literal too large");
    }
    text_ += kCrlf;
    awaited_ = (*literal)->size;
    return literal;
}

Result<> CommandAssembler::add_literal(std::string_view bytes) {
    if (bytes.size() != awaited_) return syntax("Literal of another size than announced");
    awaited_ = 0;
    text_ += bytes;
    return {};
}

void CommandAssembler::clear() {
    text_.clear();
    literals_ = 0;
    awaited_ = 0;
    refused_.reset();
}

bool StringReader::skip(char c) {
    if (peek() != c || at_end()) return false;
    rest_.remove_prefix(1);
    return true;
}

void StringReader::skip_spaces() {
    take_while([](char c) { return c == ' '; });
}

std::string_view StringReader::advance(std::size_t size) {
    auto taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
}

Result<std::string_view> StringReader::quoted(std::size_t limit) {
    if (peek() != '"') return syntax("String expected");
    bool escapes = false;
    std::size_t end = 1;
    for (; end < rest_.size() && rest_[end] != '"'; ++end) {
        if (rest_[end] != '\\') continue;
        escapes = true;
        ++end;
        if (end == rest_.size() || (rest_[end] != '"' && rest_[end] != '\\'))
            return syntax("Invalid escape in a string");
    }
    if (end >= rest_.size()) return syntax("Unterminated string");
    auto inner = rest_.substr(1, end - 1);
    if (!fits_a_line(inner)) return syntax("Invalid character in a string");
    if (escapes) inner = unescape(inner);
    rest_.remove_prefix(end + 1);
    if (inner.size() > limit) return too_long();
    return inner;
}

std::string_view StringReader::unescape(std::string_view escaped) {
    if (unescaped_.empty()) unescaped_.reserve(rest_.size());
    std::size_t start = unescaped_.size();
    for (std::size_t i = 0; i < escaped.size(); ++i) {
        if (escaped[i] == '\\') ++i;
        unescaped_ += escaped[i];
    }
    return std::string_view(unescaped_).substr(start);
}

Result<std::string_view> StringReader::literal(std::size_t limit) {
    auto end = rest_.find(kCrlf);
    if (end == std::string_view::npos) return syntax("Literal expected");
    auto announced = parse_announcement(rest_.substr(0, end));
    if (!announced) return syntax("Invalid literal");
    std::size_t start = end + kCrlf.size();
    if (announced->size > rest_.size() - start) return syntax("Incomplete literal");
    auto octets = rest_.substr(start, announced->size);
    if (octets.size() > limit) return too_long();
    if (octets.contains('\0')) return syntax("NUL in a literal");
    rest_.remove_prefix(start + octets.size());
    return octets;
}

Result<std::string_view> StringReader::string(std::size_t limit) {
    return peek() == '{' ? literal(limit) : quoted(limit);
}

void append_quoted(std::string& out, std::string_view text) {
    out += '"';
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    out += '"';
}

}  // namespace muster::wire
