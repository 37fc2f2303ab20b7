#pragma once
// What Dovecot asks for: the keys of its dict look-ups as values. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace muster::backend {

/// `passdb/MECHANISM/NAME/RESOLVED/CLIENT/SESSION`: NAME as the client wrote it; RESOLVED is the
/// account that a trusted front end found for it, or empty; CLIENT and SESSION are what Dovecot
/// takes for the client's address and the session id. Configurations printed by earlier versions
/// end the key with RESOLVED.
struct PassdbQuery {
    std::string mechanism;
    std::string name;
    std::string resolved;
    std::string client{};
    std::string session{};
    friend bool operator==(const PassdbQuery&, const PassdbQuery&) = default;
};
/// `userdb/NAME`
struct UserdbQuery {
    std::string name;
    friend bool operator==(const UserdbQuery&, const UserdbQuery&) = default;
};
/// `token/ID/SERVICE/NAME`: a master user's login as NAME.
struct TokenQuery {
    std::string id;
    std::string service;
    std::string name;
    friend bool operator==(const TokenQuery&, const TokenQuery&) = default;
};
/// `shared-boxes/user/TO/FROM` or `shared-boxes/anyone/FROM` (TO is then `anyone`). For
/// iterations FROM is empty; TO, too, when all are asked for.
struct SharedQuery {
    std::string to;
    std::string from;
    friend bool operator==(const SharedQuery&, const SharedQuery&) = default;
};
/// `last-login/NAME`
struct LastLoginQuery {
    friend bool operator==(const LastLoginQuery&, const LastLoginQuery&) = default;
};
using DictQuery = std::variant<PassdbQuery, UserdbQuery, TokenQuery, SharedQuery, LastLoginQuery>;

/// `key` with its `shared/` in front; `user` as it stands in the command (it tells where NAME
/// ends: names may hold slashes). Empty: not a key that we know.
std::optional<DictQuery> parse_dict_key(std::string_view key, std::string_view user);

/// The key under which Dovecot knows a share, with its `shared/`.
std::string shared_box_key(std::string_view to, std::string_view from);

}  // namespace muster::backend
