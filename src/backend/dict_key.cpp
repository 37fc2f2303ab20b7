#include "backend/dict_key.h"

#include <utility>

#include "base/endpoint.h"

namespace muster::backend {
namespace {

bool take_prefix(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix)) return false;
    text.remove_prefix(prefix.size());
    return true;
}

/// What stands before the next slash; empty when there is none.
std::optional<std::string_view> take_part(std::string_view& text) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto part = text.substr(0, slash);
    text.remove_prefix(slash + 1);
    return part;
}

/// Dovecot writes `\|` for a slash and `\\` for a backslash inside one part of a path.
std::string unescaped(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size())
            result += text[++i] == '|' ? '/' : text[i];
        else
            result += text[i];
    }
    return result;
}

std::string escaped(std::string_view text) {
    std::string result;
    for (const char one : text) {
        if (one == '/')
            result += "\\|";
        else if (one == '\\')
            result += "\\\\";
        else
            result += one;
    }
    return result;
}

/// Whether `text` is `CLIENT/SESSION`; a session id may hold slashes.
bool is_origin(std::string_view text) {
    const auto client = take_part(text);
    return client && (client->empty() || IpAddress::parse(*client));
}

/// Where RESOLVED ends: both it and the session id may hold slashes, but it is an address or
/// empty, and an address of the client comes next. The end of the text when none comes.
std::size_t end_of_resolved(std::string_view text) {
    for (std::size_t at = 0; (at = text.find('/', at)) != std::string_view::npos; ++at) {
        const bool complete = at == 0 || text.substr(0, at).contains('@');
        if (complete && is_origin(text.substr(at + 1))) return at;
    }
    return text.size();
}

std::optional<DictQuery> passdb(std::string_view rest, std::string_view user) {
    const auto mechanism = take_part(rest);
    if (!mechanism) return std::nullopt;
    std::string_view name = user;
    if (user.empty()) name = rest.substr(0, rest.find('/'));
    if (!take_prefix(rest, name) || !take_prefix(rest, "/")) return std::nullopt;
    const auto resolved = rest.substr(0, end_of_resolved(rest));
    PassdbQuery query{std::string(*mechanism), std::string(name), std::string(resolved)};
    if (!take_prefix(rest, resolved) || !take_prefix(rest, "/")) return query;
    query.client = take_part(rest).value_or("");
    query.session = rest;
    return query;
}

std::optional<DictQuery> token(std::string_view rest) {
    const auto id = take_part(rest);
    const auto service = id ? take_part(rest) : std::nullopt;
    if (!service) return std::nullopt;
    return TokenQuery{std::string(*id), std::string(*service), std::string(rest)};
}

std::optional<DictQuery> shared_boxes(std::string_view rest) {
    if (rest.empty()) return SharedQuery{};
    if (take_prefix(rest, "anyone/")) return SharedQuery{"anyone", unescaped(rest)};
    if (!take_prefix(rest, "user/")) return std::nullopt;
    const auto to = take_part(rest);
    if (!to) return std::nullopt;
    return SharedQuery{unescaped(*to), unescaped(rest)};
}

}  // namespace

std::optional<DictQuery> parse_dict_key(std::string_view key, std::string_view user) {
    if (!take_prefix(key, "shared/")) return std::nullopt;
    if (take_prefix(key, "passdb/")) return passdb(key, user);
    if (take_prefix(key, "userdb/")) return UserdbQuery{std::string(key)};
    if (take_prefix(key, "token/")) return token(key);
    if (take_prefix(key, "shared-boxes/")) return shared_boxes(key);
    if (key.starts_with("last-login/")) return LastLoginQuery{};
    return std::nullopt;
}

std::string shared_box_key(std::string_view to, std::string_view from) {
    const std::string who = to == "anyone" ? "anyone/" : "user/" + escaped(to) + "/";
    return "shared/shared-boxes/" + who + escaped(from);
}

}  // namespace muster::backend
