#include "wire/authentication_results.h"

#include <algorithm>

#include "wire/ascii.h"
#include "wire/field_writer.h"

namespace muster::wire {
namespace {

constexpr std::string_view kName = "Authentication-Results";

bool is_white(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/// Behind the comment that `text` begins with, which may hold others (RFC 5322, 3.2.2).
std::string_view after_comment(std::string_view text) {
    int depth = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\')
            ++i;
        else if (text[i] == '(')
            ++depth;
        else if (text[i] == ')' && --depth == 0)
            return text.substr(i + 1);
    }
    return {};
}

std::string_view after_comments(std::string_view text) {
    for (;;) {
        while (!text.empty() && is_white(text.front())) text.remove_prefix(1);
        if (!text.starts_with('(')) return text;
        text = after_comment(text);
    }
}

std::string quoted_word(std::string_view text) {
    std::string word;
    for (std::size_t i = 1; i < text.size() && text[i] != '"'; ++i) {
        if (text[i] == '\\' && i + 1 < text.size()) ++i;
        word += text[i];
    }
    return word;
}

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

/// The first line's name, if it is a field's.
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

bool claims(std::string_view field, std::string_view authserv_id) {
    if (!is_results_field(field)) return false;
    std::string id = authserv_id_of(field.substr(field.find(':') + 1));
    if (id.ends_with('.')) id.pop_back();
    return equal_folded(id, authserv_id);
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

std::string authserv_id_of(std::string_view value) {
    value = after_comments(value);
    if (value.starts_with('"')) return quoted_word(value);
    const std::size_t end = value.find_first_of(" \t\r\n;(");
    return std::string(value.substr(0, end));
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
