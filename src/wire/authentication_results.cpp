#include "wire/authentication_results.h"

#include <algorithm>
#include <vector>

#include "wire/ascii.h"
#include "wire/field_writer.h"
#include "wire/utf8.h"

namespace muster::wire {
namespace {

constexpr std::string_view kName = "Authentication-Results";

bool is_white(char c) { return std::string_view(" \t\r\n\v\f").contains(c); }

/// A property's value: a token, or in quotes (RFC 8601, 2.2).
std::string property(std::string_view value) {
    const auto is_plain = [](char c) {
        return is_letter(c) || is_digit(c) || std::string_view(".-_+@").contains(c);
    };
    if (!value.empty() && std::ranges::all_of(value, is_plain)) return std::string(value);
    std::string quoted = "\"";
    for (const char c : value) {
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += is_graphic(c) ? c : '?';
    }
    return quoted + '"';
}

/// Whether the first line begins a field of that name.
bool is_results_field(std::string_view line) {
    std::string_view name = line.substr(0, line.find(':'));
    if (name.size() == line.size()) return false;
    while (!name.empty() && is_white(name.back())) name.remove_suffix(1);
    return equal_folded(name, kName);
}

std::size_t end_of_line(std::string_view text, std::size_t from) {
    const std::size_t end = text.find('\n', from);
    return end == text.npos ? text.size() : end + 1;
}

/// Takes a line and those that continue it.
std::string_view take_field(std::string_view& header) {
    std::size_t end = end_of_line(header, 0);
    while (end < header.size() && (header[end] == ' ' || header[end] == '\t')) {
        end = end_of_line(header, end);
    }
    const std::string_view field = header.substr(0, end);
    header.remove_prefix(end);
    return field;
}

/// What a field's value says in front of its results, read as RFC 5322 has it.
struct Head {
    std::string plain;     ///< without comments and quotes
    std::string comments;  ///< what they hold
    bool broken = false;   ///< a comment or quote has no end
};

Head read_head(std::string_view value) {
    Head head;
    int depth = 0;
    bool quoted = false;
    for (std::size_t i = 0; i < value.size(); ++i) {
        char c = value[i];
        if (c == '\\' && i + 1 < value.size()) {
            c = value[++i];
        } else if (c == '"' && depth == 0) {
            quoted = !quoted;
            continue;
        } else if (c == '(' && !quoted) {
            ++depth;
        } else if (c == ')' && depth > 0) {
            --depth;
        } else if (c == ';' && depth == 0 && !quoted) {
            return head;
        }
        (depth > 0 ? head.comments : head.plain) += c;
    }
    head.broken = depth > 0 || quoted;
    return head;
}

/// The words between white space and RFC 2045's tspecials, which no authserv-id of ours has.
std::vector<std::string_view> words_of(std::string_view text) {
    const auto ends = [](char c) {
        return is_white(c) || std::string_view("()<>@,;:\\\"/[]?=").contains(c);
    };
    std::vector<std::string_view> words;
    while (!text.empty()) {
        const auto end = std::ranges::find_if(text, ends);
        const std::string_view word(text.begin(), end);
        if (!word.empty()) words.push_back(word);
        text.remove_prefix(std::min(word.size() + 1, text.size()));
    }
    return words;
}

bool is_same_name(std::string_view name, std::string_view authserv_id) {
    if (name.ends_with('.')) name.remove_suffix(1);
    return equal_folded(name, authserv_id);
}

/// Whether some reader may take it for ours: an id has a version behind it, white space within,
/// comments that others read otherwise. One in Unicode may be any (RFC 8601, 2.5, and IDNA).
bool claims(std::string_view field, std::string_view authserv_id) {
    if (!is_results_field(field)) return false;
    const Head head = read_head(field.substr(field.find(':') + 1));
    const bool is_encoded = head.plain.contains("=?");  // RFC 2047
    if (head.broken || is_encoded || !is_ascii(head.plain)) return true;
    std::string joined;
    const auto is_ours = [&](std::string_view word) { return is_same_name(word, authserv_id); };
    const auto ends_ours = [&](std::string_view word) {
        if (joined.size() <= authserv_id.size()) joined += word;
        return is_ours(word) || is_ours(joined);
    };
    return std::ranges::any_of(words_of(head.plain), ends_ours) ||
           std::ranges::any_of(words_of(head.comments), is_ours);
}

}  // namespace

std::string write_authentication_results(const AuthenticationResults& results) {
    const bool asked = !results.iprev.empty();
    if (!asked && !results.authenticated) return {};
    std::string out;
    FieldWriter field(out, kName);
    field.word(field_word(results.authserv_id) + ';');
    if (asked) {
        field.fold();
        field.word("iprev=" + std::string(results.iprev));
        const bool more = results.authenticated;
        const bool named = !results.client_name.empty();
        field.word("policy.iprev=" + property(results.client.text()) + (more && !named ? ";" : ""));
        if (named) field.word('(' + field_word(results.client_name) + (more ? ");" : ")"));
    }
    if (results.authenticated) {
        field.fold();
        field.word("auth=pass");
        if (!results.login.empty()) field.word("smtp.auth=" + property(results.login));
    }
    field.end();
    return out;
}

std::optional<std::string> without_results_of(std::string_view header,
                                              std::string_view authserv_id) {
    std::optional<std::string> kept;
    std::string_view rest = header;
    while (!rest.empty()) {
        const std::size_t before = header.size() - rest.size();
        const std::string_view field = take_field(rest);
        const bool forged = claims(field, authserv_id);
        if (forged && !kept) kept = header.substr(0, before);
        if (!forged && kept) *kept += field;
    }
    return kept;
}

}  // namespace muster::wire
