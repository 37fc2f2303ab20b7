#include "wire/smtp_reply.h"

#include <algorithm>
#include <utility>

#include "wire/ascii.h"

namespace muster::wire::smtp {
namespace {

/// Up to three digits off the front of `text`.
std::optional<std::uint16_t> take_status_number(std::string_view& text) {
    std::size_t size = 0;
    while (size < text.size() && is_digit(text[size])) ++size;
    constexpr std::size_t kDigits = 3;  // RFC 3463, 2
    if (size == 0 || size > kDigits) return std::nullopt;
    const auto number = parse_number(text.substr(0, size));
    text.remove_prefix(size);
    return static_cast<std::uint16_t>(*number);
}

bool take_dot(std::string_view& text) {
    if (!text.starts_with('.')) return false;
    text.remove_prefix(1);
    return true;
}

char shown(char c) { return is_graphic(c) || c == ' ' ? c : '?'; }

unsigned small_number(std::string_view text) {
    constexpr std::uint64_t kMost = 1'000'000;
    return static_cast<unsigned>(parse_number(text, kMost).value_or(0));
}

/// Words in upper case; a server that lists hundreds is not believed.
std::vector<std::string> words(std::string_view text) {
    constexpr std::size_t kMost = 32;
    std::vector<std::string> found;
    while (found.size() < kMost) {
        const std::string_view word = take_word(text);
        if (word.empty()) break;
        found.push_back(to_upper(word));
    }
    return found;
}

void read_limits(ServerExtensions& extensions, std::string_view text) {
    for (std::string_view word = take_word(text); !word.empty(); word = take_word(text)) {
        const std::string_view name = take_until(word, '=');
        if (equal_folded(name, "RCPTMAX")) extensions.max_recipients = small_number(word);
        if (equal_folded(name, "MAILMAX")) extensions.max_transactions = small_number(word);
    }
}

struct Flag {
    std::string_view keyword;
    bool ServerExtensions::* member;
};
constexpr Flag kFlags[] = {
    {"PIPELINING", &ServerExtensions::pipelining},
    {"8BITMIME", &ServerExtensions::eight_bit_mime},
    {"SMTPUTF8", &ServerExtensions::smtp_utf8},
    {"DSN", &ServerExtensions::dsn},
    {"CHUNKING", &ServerExtensions::chunking},
    {"STARTTLS", &ServerExtensions::starttls},
    {"ENHANCEDSTATUSCODES", &ServerExtensions::enhanced_status_codes},
    {"XRCPTFORWARD", &ServerExtensions::recipient_forward},
    {"SIZE", &ServerExtensions::size},
};

void read_extension(ServerExtensions& extensions, std::string_view line) {
    const std::string_view keyword = take_word(line);
    for (const Flag& flag : kFlags) {
        if (equal_folded(keyword, flag.keyword)) extensions.*flag.member = true;
    }
    if (equal_folded(keyword, "SIZE")) {
        extensions.size_limit = parse_number(trim_spaces(line)).value_or(0);
    } else if (equal_folded(keyword, "AUTH")) {
        extensions.auth = words(line);
    } else if (equal_folded(keyword, "XCLIENT")) {
        extensions.xclient = words(line);
    } else if (equal_folded(keyword, "LIMITS")) {
        read_limits(extensions, line);
    }
}

bool contains_folded(const std::vector<std::string>& list, std::string_view wanted) {
    return std::ranges::any_of(
        list, [wanted](const std::string& each) { return equal_folded(each, wanted); });
}

}  // namespace

std::optional<EnhancedStatus> EnhancedStatus::parse(std::string_view text) {
    const auto kind = take_status_number(text);
    if (!kind || (*kind != 2 && *kind != 4 && *kind != 5) || !take_dot(text)) return std::nullopt;
    const auto subject = take_status_number(text);
    if (!subject || !take_dot(text)) return std::nullopt;
    const auto detail = take_status_number(text);
    if (!detail || (!text.empty() && text.front() != ' ')) return std::nullopt;
    return EnhancedStatus{*kind, *subject, *detail};
}

std::string EnhancedStatus::text() const {
    if (!given()) return {};
    return std::to_string(kind) + '.' + std::to_string(subject) + '.' + std::to_string(detail);
}

Result<bool> ReplyParser::add(std::string_view line) {
    constexpr std::size_t kCode = 3;
    const auto code = line.size() < kCode ? std::nullopt : parse_number(line.substr(0, kCode));
    const char separator = line.size() > kCode ? line[kCode] : ' ';
    // RFC 5321, 4.2: the first digit is 2 to 5. 1yz is not used by SMTP.
    if (!code || *code < 200 || *code > 599 || (separator != ' ' && separator != '-')) {
        return fail(ErrorKind::Syntax, "not a reply");
    }
    if (lines_ > 0 && *code != reply_.code) {
        return fail(ErrorKind::Syntax, "a reply's lines have different codes");
    }
    if (lines_ == kMaxReplyLines) return fail(ErrorKind::Limit, "a reply without end");
    reply_.code = static_cast<std::uint16_t>(*code);
    add_text(line.size() > kCode ? line.substr(kCode + 1) : std::string_view{});
    return separator == ' ';
}

void ReplyParser::add_text(std::string_view text) {
    // RFC 2034, 4: every line of a reply begins with the status; it is kept once.
    if (const auto status = EnhancedStatus::parse(text);
        status && status->kind == reply_.code / 100U) {
        if (lines_ == 0) reply_.enhanced = *status;
        if (*status == reply_.enhanced) {
            take_word(text);
            text = trim_spaces(text);
        }
    }
    std::string& kept = reply_.text;
    if (++lines_ > 1 && kept.size() < kMaxReplyText) kept += '\n';
    text = text.substr(0, kMaxReplyText - std::min(kept.size(), kMaxReplyText));
    const std::size_t before = kept.size();
    kept.resize(before + text.size());
    std::ranges::transform(text, kept.begin() + static_cast<std::ptrdiff_t>(before), shown);
}

Reply ReplyParser::take() {
    lines_ = 0;
    return std::exchange(reply_, {});
}

ServerExtensions ServerExtensions::from(const Reply& reply) {
    ServerExtensions extensions;
    std::string_view rest = reply.text;
    take_until(rest, '\n');  // the server's name
    while (!rest.empty()) read_extension(extensions, take_until(rest, '\n'));
    return extensions;
}

bool ServerExtensions::takes(std::string_view xclient_attribute) const {
    return contains_folded(xclient, xclient_attribute);
}

bool ServerExtensions::offers_auth(std::string_view mechanism) const {
    return contains_folded(auth, mechanism);
}

}  // namespace muster::wire::smtp
