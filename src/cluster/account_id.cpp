#include "base/password.h"
#include "base/seal.h"
#include "cluster/directory_writer.h"

namespace muster::cluster {

AccountId new_account_id() { return AccountId(random_name(16)); }

Result<AccountId> parse_account_id(std::string_view text) {
    const bool plain = std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
    if (text.empty() || text.size() > 64 || !plain) {
        return fail(ErrorKind::Syntax, "an account id has 1 to 64 characters of a-z, 0-9, - and _");
    }
    return AccountId(text);
}

std::optional<std::string_view> plain_password(std::string_view text) {
    for (const std::string_view scheme : {"{PLAIN}", "{CLEARTEXT}"}) {
        if (text.starts_with(scheme)) return text.substr(scheme.size());
    }
    if (check_password_key(text)) return std::nullopt;
    return text;
}

Result<> check_password_key(std::string_view key) {
    const std::string_view scheme = password_scheme(key);
    const bool named = !scheme.empty() && std::ranges::all_of(scheme, [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    });
    const bool seen = std::ranges::all_of(key, [](char c) { return c > ' ' && c < 0x7f; });
    if (!named || !seen || key.size() > 1024 || key.size() == scheme.size() + 2) {
        return fail(ErrorKind::Syntax, "a password key is {SCHEME} and printable text behind it");
    }
    if (scheme == "PLAIN" || scheme == "CLEARTEXT") {
        return fail(ErrorKind::Syntax, "a plain password is no key: give it as a password");
    }
    return {};
}

Result<std::string> to_password_key(std::string_view password_or_key) {
    if (const auto plain = plain_password(password_or_key)) return make_scram_sha256(*plain);
    return std::string(password_or_key);
}

}  // namespace muster::cluster
