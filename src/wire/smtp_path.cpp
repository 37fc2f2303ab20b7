// Paths of MAIL and RCPT: RFC 5321, 4.1.2 and 4.1.3; RFC 6531, 3.3.
#include <algorithm>
#include <array>

#include "wire/ascii.h"
#include "wire/smtp.h"
#include "wire/srs.h"
#include "wire/utf8.h"

namespace muster::wire::smtp {
namespace {

constexpr std::size_t kMaxLabel = 63;

bool is_eight_bit(char c) { return static_cast<unsigned char>(c) > 0x7f; }

/// Of an unquoted local part. A table: this is asked for each octet of each address.
constexpr auto kAtoms = [] {
    constexpr std::string_view kSpecial = "!#$%&'*+-/=?^_`{|}~";
    std::array<bool, 256> atoms{};
    for (unsigned i = 0; i < atoms.size(); ++i) {
        auto c = static_cast<char>(i);
        atoms[i] = i > 0x7f || is_letter(c) || is_digit(c) || kSpecial.contains(c);
    }
    return atoms;
}();
bool is_atom(char c) { return kAtoms[static_cast<unsigned char>(c)]; }

/// Forwarders put a whole address into the local part of another one, which needs more than 64
/// octets; the path has to be in bounds all the same.
std::size_t longest(std::string_view local) {
    return srs::is_rewritten(local) ? kMaxSrsLocal : kMaxLocal;
}

bool is_quotable(char c) { return c == ' ' || is_graphic(c) || is_eight_bit(c); }

bool is_dot_string(std::string_view text) {
    if (text.empty() || text.front() == '.' || text.back() == '.') return false;
    if (text.contains("..")) return false;
    return std::ranges::all_of(text, [](char c) { return c == '.' || is_atom(c); });
}

void append_local(std::string& out, std::string_view local) {
    if (is_dot_string(local)) {
        out += local;
        return;
    }
    out += '"';
    for (char c : local) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    out += '"';
}

bool is_label(std::string_view label) {
    if (label.empty() || label.size() > kMaxLabel) return false;
    if (label.front() == '-' || label.back() == '-') return false;
    return std::ranges::all_of(label, [](char c) {
        return is_letter(c) || is_digit(c) || c == '-' || c == '_' || is_eight_bit(c);
    });
}

/// Reads one path from the front of a text.
class PathReader {
public:
    explicit PathReader(std::string_view text) : rest_(text) {}

    std::optional<Path> read() {
        if (!skip('<')) return std::nullopt;
        if (skip('>')) return Path{};
        bool routed = rest_.starts_with('@');
        if (routed && !skip_route()) return std::nullopt;
        bool quoted = rest_.starts_with('"');
        Path path;
        if (!(quoted ? read_quoted(path.local) : read_dots(path.local))) return std::nullopt;
        if (skip('@')) {
            if (!read_domain(path.domain)) return std::nullopt;
        } else if (routed || quoted || !equal_folded(path.local, "postmaster")) {
            return std::nullopt;
        }
        if (!skip('>')) return std::nullopt;
        return path;
    }
    [[nodiscard]] std::string_view rest() const { return rest_; }

private:
    bool skip(char c) {
        if (!rest_.starts_with(c)) return false;
        rest_.remove_prefix(1);
        return true;
    }

    /// `@a,@b:`
    bool skip_route() {
        std::string domain;
        do {
            if (!skip('@') || !read_domain(domain)) return false;
        } while (skip(','));
        return skip(':');
    }

    bool read_dots(std::string& local) {
        auto wanted = [](char c) { return c == '.' || is_atom(c); };
        auto end = std::ranges::find_if_not(rest_, wanted);
        local.assign(rest_.begin(), end);
        rest_.remove_prefix(local.size());
        return !local.empty() && local.size() <= longest(local);
    }

    bool read_quoted(std::string& local) {
        const std::size_t limit = longest(rest_.substr(1));
        std::size_t i = 1;
        for (; i < rest_.size() && i < limit; ++i) {
            char c = rest_[i];
            if (c == '"') break;
            if (c == '\\' && ++i < rest_.size()) c = rest_[i];
            if (!is_quotable(c)) return false;
            local += c;
        }
        if (i >= rest_.size() || i >= limit) return false;
        rest_.remove_prefix(i + 1);
        return true;
    }

    bool read_domain(std::string& domain) {
        auto end = rest_.find_first_of(rest_.starts_with('[') ? "]>" : ",:>");
        if (end == std::string_view::npos) return false;
        if (rest_[end] == ']') ++end;
        domain = rest_.substr(0, end);
        rest_.remove_prefix(end);
        return is_domain(domain) || is_address_literal(domain);
    }

    std::string_view rest_;
};

}  // namespace

std::string Path::text() const {
    std::string out;
    if (is_null()) return out;
    out.reserve(local.size() + domain.size() + 3);
    append_local(out, local);
    if (!domain.empty()) out.append("@").append(domain);
    return out;
}

bool is_domain(std::string_view text) {
    if (text.empty() || text.size() > kMaxDomain || !is_utf8(text)) return false;
    for (;;) {
        auto dot = text.find('.');
        if (!is_label(text.substr(0, dot))) return false;
        if (dot == std::string_view::npos) return true;
        text.remove_prefix(dot + 1);
    }
}

bool is_address_literal(std::string_view text) {
    if (text.size() < 3 || !text.starts_with('[') || !text.ends_with(']')) return false;
    text = text.substr(1, text.size() - 2);
    constexpr std::string_view kSix = "IPv6:";
    bool six = starts_folded(text, kSix);
    if (six) text.remove_prefix(kSix.size());
    return text.contains(':') == six && IpAddress::parse(text).has_value();
}

std::optional<Path> take_path(std::string_view& text) {
    PathReader reader(text.substr(0, kMaxPath));
    auto path = reader.read();
    if (!path) return std::nullopt;
    auto size = std::min(text.size(), kMaxPath) - reader.rest().size();
    auto taken = text.substr(0, size);
    path->utf8 = !is_ascii(path->local) || !is_ascii(path->domain);
    if (!is_ascii(taken) && !is_utf8(taken)) return std::nullopt;
    // Tolerated dots are quoted when written again, which must fit, too.
    std::string local;
    append_local(local, path->local);
    if (local.size() > longest(path->local) || local.size() + path->domain.size() + 3 > kMaxPath)
        return std::nullopt;
    text.remove_prefix(size);
    return path;
}

Parsed<Path> parse_address(std::string_view text) {
    if (text.empty()) return Path{};
    auto bracketed = "<" + std::string(text.substr(0, kMaxPath)) + ">";
    std::string_view rest = bracketed;
    auto path = take_path(rest);
    if (!path || !rest.empty() || path->is_null())
        return std::unexpected(Refusal{501, "5.1.3", "Bad address syntax"});
    return std::move(*path);
}

}  // namespace muster::wire::smtp
