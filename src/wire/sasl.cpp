#include "wire/sasl.h"

#include <algorithm>
#include <array>

#include "base/base64.h"
#include "wire/ascii.h"

namespace muster::wire::sasl {
namespace {

struct Row {
    std::string_view name;
    Mechanism mechanism;
    bool reveals_secret;
    bool rewritable;
};
constexpr std::array kMechanisms{
    //  name             mechanism                reveals_secret  rewritable
    Row{"PLAIN", Mechanism::Plain, true, true},
    Row{"LOGIN", Mechanism::Login, true, true},
    Row{"SCRAM-SHA-1", Mechanism::ScramSha1, false, false},
    Row{"SCRAM-SHA-256", Mechanism::ScramSha256, false, false},
    Row{"OAUTHBEARER", Mechanism::OAuthBearer, true, true},
    Row{"XOAUTH2", Mechanism::XOAuth2, true, true},
};

constexpr std::size_t kMaxMechanism = 20;  // RFC 4422
constexpr std::size_t kMaxNonce = 512;
constexpr char kSeparator = '\x01';
constexpr std::string_view kEnd = "\x01\x01";

const Row& row(Mechanism mechanism) {
    return *std::ranges::find(kMechanisms, mechanism, &Row::mechanism);
}

auto syntax(const char* text) { return fail(ErrorKind::Syntax, text); }

bool is_mechanism_char(char c) { return is_letter(c) || is_digit(c) || c == '-' || c == '_'; }
bool is_control(char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }

/// Bounded, without control characters; what an address may be is not this folder's business.
bool valid_name(std::string_view name) {
    return !name.empty() && name.size() <= kMaxName && std::ranges::none_of(name, is_control);
}

/// SCRAM's and GS2's saslname: `=2C` for a comma, `=3D` for an equals sign.
Result<std::string> unescape_name(std::string_view text) {
    if (text.size() > 3 * kMaxName) return fail(ErrorKind::Limit, "Name too long");
    std::string name;
    while (!text.empty()) {
        auto plain = text.substr(0, text.find('='));
        name += plain;
        text.remove_prefix(plain.size());
        if (text.empty()) break;
        bool comma = text.starts_with("=2C");
        if (!comma && !text.starts_with("=3D")) return syntax("Invalid name");
        name += comma ? ',' : '=';
        text.remove_prefix(3);
    }
    if (!valid_name(name)) return syntax("Invalid name");
    return name;
}

std::string escape_name(std::string_view name) {
    std::string text;
    for (char c : name) {
        if (c == ',') {
            text += "=2C";
        } else if (c == '=') {
            text += "=3D";
        } else {
            text += c;
        }
    }
    return text;
}

/// Takes the GS2 header `n,[a=NAME],` (RFC 5801) off the message; gives the name or "".
Result<std::string> take_gs2_header(std::string_view& message) {
    auto flag = take_until(message, ',');
    if (flag.starts_with("p=")) return fail(ErrorKind::Refused, "Channel binding is not supported");
    if (flag != "n" && flag != "y") return syntax("Invalid GS2 header");
    auto end = message.find(',');
    if (end == std::string_view::npos) return syntax("Invalid GS2 header");
    auto attribute = message.substr(0, end);
    message.remove_prefix(end + 1);
    if (attribute.empty()) return std::string();
    if (!attribute.starts_with("a=")) return syntax("Invalid GS2 header");
    return unescape_name(attribute.substr(2));
}

bool valid_nonce(std::string_view nonce) {
    return !nonce.empty() && nonce.size() <= kMaxNonce && std::ranges::all_of(nonce, is_graphic);
}

/// RFC 5802: `gs2-header n=NAME,r=NONCE[,extensions]`.
Result<Identity> scram_identity(std::string_view message) {
    auto authzid = take_gs2_header(message);
    if (!authzid) return std::unexpected(authzid.error());
    auto name = take_until(message, ',');
    auto nonce = take_until(message, ',');
    if (!name.starts_with("n=") || !nonce.starts_with("r=") || !valid_nonce(nonce.substr(2)))
        return syntax("Invalid SCRAM message");
    auto authcid = unescape_name(name.substr(2));
    if (!authcid) return std::unexpected(authcid.error());
    if (message.contains('\0')) return syntax("Invalid SCRAM message");
    return Identity{std::move(*authzid), std::move(*authcid)};
}

bool is_pair_char(char c) { return !is_control(c) || c == '\t' || c == '\r' || c == '\n'; }

/// `key=value^A … ^A` of RFC 7628 and XOAUTH2; the value of `wanted`, absent when there is none.
/// The message must carry `auth=Bearer …`. No key may stand twice: a server might take the other.
Result<std::optional<std::string_view>> bearer_pairs(std::string_view pairs,
                                                     std::string_view wanted) {
    if (!pairs.ends_with(kEnd)) return syntax("Invalid OAuth message");
    pairs.remove_suffix(1);
    std::optional<std::string_view> found;
    std::optional<std::string_view> auth;
    while (!pairs.empty()) {
        auto value = take_until(pairs, kSeparator);
        if (!value.contains('=') || !std::ranges::all_of(value, is_pair_char))
            return syntax("Invalid OAuth message");
        auto key = take_until(value, '=');
        bool is_wanted = equal_folded(key, wanted);
        if (!is_wanted && !equal_folded(key, "auth")) continue;
        auto& slot = is_wanted ? found : auth;
        if (slot) return syntax("Invalid OAuth message");
        slot = value;
    }
    if (!auth || !starts_folded(*auth, "Bearer ")) return syntax("Invalid OAuth message");
    return found;
}

/// RFC 7628; only the GS2 header names the user.
Result<Identity> oauthbearer_identity(std::string_view message) {
    auto authzid = take_gs2_header(message);
    if (!authzid) return std::unexpected(authzid.error());
    if (!message.starts_with(kSeparator)) return syntax("Invalid OAuth message");
    auto pairs = bearer_pairs(message.substr(1), {});
    if (!pairs) return std::unexpected(pairs.error());
    if (authzid->empty()) return fail(ErrorKind::Refused, "The user name is missing");
    return Identity{std::move(*authzid), {}};
}

Result<Identity> xoauth2_identity(std::string_view message) {
    auto user = bearer_pairs(message, "user");
    if (!user) return std::unexpected(user.error());
    if (!*user) return fail(ErrorKind::Refused, "The user name is missing");
    if (!valid_name(**user)) return syntax("Invalid name");
    return Identity{{}, std::string(**user)};
}

Result<Identity> plain_identity(std::string_view message) {
    auto plain = parse_plain(message);
    if (!plain) return std::unexpected(plain.error());
    return Identity{std::string(plain->authzid), std::string(plain->authcid)};
}

Result<std::string> plain_with_account(std::string_view message, std::string_view account) {
    auto plain = parse_plain(message);
    if (!plain) return std::unexpected(plain.error());
    auto old = plain->authzid.empty() ? plain->authcid : plain->authzid;
    auto renamed = [&](std::string_view name) { return name == old ? account : name; };
    return write_plain(plain->authzid.empty() ? "" : renamed(plain->authzid),
                       renamed(plain->authcid), plain->password);
}

Result<std::string> oauthbearer_with_account(std::string_view message, std::string_view account) {
    auto known = oauthbearer_identity(message);
    if (!known) return std::unexpected(known.error());
    std::string changed(take_until(message, ','));
    take_until(message, ',');
    return changed.append(",a=").append(escape_name(account)).append(",").append(message);
}

Result<std::string> xoauth2_with_account(std::string_view message, std::string_view account) {
    auto user = bearer_pairs(message, "user");
    if (!user) return std::unexpected(user.error());
    if (!*user) return fail(ErrorKind::Refused, "The user name is missing");
    auto start = static_cast<std::size_t>((*user)->data() - message.data());
    std::string changed(message);
    return changed.replace(start, (*user)->size(), account);
}

}  // namespace

std::optional<Mechanism> routable(std::string_view name) {
    for (const auto& row : kMechanisms)
        if (equal_folded(row.name, name)) return row.mechanism;
    return std::nullopt;
}

std::string_view name(Mechanism mechanism) { return row(mechanism).name; }
bool reveals_secret(Mechanism mechanism) { return row(mechanism).reveals_secret; }
bool can_rewrite(Mechanism mechanism) { return row(mechanism).rewritable; }

Result<AuthRequest> parse_auth_request(std::string_view text) {
    text = trim_spaces(text);
    AuthRequest request{take_until(text, ' '), std::nullopt};
    auto mechanism = request.mechanism;
    if (mechanism.empty() || mechanism.size() > kMaxMechanism ||
        !std::ranges::all_of(mechanism, is_mechanism_char))
        return syntax("Invalid mechanism");
    if (text.empty()) return request;
    if (!std::ranges::all_of(text, is_graphic)) return syntax("Invalid initial response");
    request.initial = text == "=" ? std::string_view{} : text;
    return request;
}

Result<std::string> decode(std::string_view base64) { return base64_decode(base64, kMaxMessage); }

Result<Identity> identity(Mechanism mechanism, std::string_view message) {
    if (message.size() > kMaxMessage) return fail(ErrorKind::Limit, "Message too long");
    switch (mechanism) {
        case Mechanism::Plain: return plain_identity(message);
        case Mechanism::Login:
            if (!valid_name(message)) return syntax("Invalid name");
            return Identity{{}, std::string(message)};
        case Mechanism::ScramSha1:
        case Mechanism::ScramSha256: return scram_identity(message);
        case Mechanism::OAuthBearer: return oauthbearer_identity(message);
        case Mechanism::XOAuth2: return xoauth2_identity(message);
    }
    return fail(ErrorKind::Refused, "Unsupported mechanism");
}

Result<Plain> parse_plain(std::string_view message) {
    if (std::ranges::count(message, '\0') != 2) return syntax("Invalid PLAIN message");
    Plain plain;
    plain.authzid = take_until(message, '\0');
    plain.authcid = take_until(message, '\0');
    plain.password = message;
    if (plain.password.size() > kMaxPassword) return fail(ErrorKind::Limit, "Password too long");
    if (!valid_name(plain.authcid) || (!plain.authzid.empty() && !valid_name(plain.authzid)))
        return syntax("Invalid name");
    return plain;
}

Result<std::string> write_plain(std::string_view authzid, std::string_view authcid,
                                std::string_view password) {
    if (authcid.empty() || authzid.contains('\0') || authcid.contains('\0') ||
        password.contains('\0'))
        return syntax("Name or password cannot be sent as PLAIN");
    std::string message;
    message.reserve(authzid.size() + authcid.size() + password.size() + 2);
    message.append(authzid).append(1, '\0').append(authcid).append(1, '\0').append(password);
    return message;
}

Result<std::string> with_account(Mechanism mechanism, std::string_view message,
                                 std::string_view account) {
    if (!valid_name(account)) return syntax("Invalid name");
    switch (mechanism) {
        case Mechanism::Plain: return plain_with_account(message, account);
        case Mechanism::Login: return std::string(account);
        case Mechanism::OAuthBearer: return oauthbearer_with_account(message, account);
        case Mechanism::XOAuth2: return xoauth2_with_account(message, account);
        case Mechanism::ScramSha1:
        case Mechanism::ScramSha256: break;
    }
    return fail(ErrorKind::Refused, "The name in a SCRAM message is signed");
}

}  // namespace muster::wire::sasl
