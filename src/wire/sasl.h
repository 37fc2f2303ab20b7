#pragma once
// SASL messages that carry the account's name: read it, rewrite it where the mechanism allows.
// Nothing is verified here; passwords and proofs pass through.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace muster::wire::sasl {

/// Mechanisms in which the client names itself first, so that a login can be routed.
enum class Mechanism { Plain, Login, ScramSha1, ScramSha256, OAuthBearer, XOAuth2 };

inline constexpr std::size_t kMaxName = 512;
inline constexpr std::size_t kMaxPassword = 2048;
inline constexpr std::size_t kMaxMessage = 12288;  ///< decoded; OAuth tokens reach several KiB

/// Nothing for mechanisms that cannot be routed (all -PLUS, CRAM-MD5, GSSAPI, EXTERNAL …).
std::optional<Mechanism> routable(std::string_view name);
std::string_view name(Mechanism mechanism);
/// Sends what can be replayed (password or token), so it needs TLS.
bool reveals_secret(Mechanism mechanism);
/// The name in the first message can be replaced (SCRAM signs it).
bool can_rewrite(Mechanism mechanism);

/// `MECHANISM [initial response]` as IMAP and POP3 write it.
struct AuthRequest {
    std::string_view mechanism{};
    /// Still base64. Empty, not absent, for `=`: the client's first message is the empty one.
    std::optional<std::string_view> initial{};
};
Result<AuthRequest> parse_auth_request(std::string_view text);
/// Base64 of a message that the client sent, bounded by kMaxMessage.
Result<std::string> decode(std::string_view base64);
/// The line by which a client cancels.
inline bool is_cancel(std::string_view line) { return line == "*"; }

/// Who the client says it is. Without an authorization identity it is the same name.
struct Identity {
    std::string authzid;
    std::string authcid;

    /// The account to route to.
    [[nodiscard]] const std::string& account() const { return authzid.empty() ? authcid : authzid; }
    friend bool operator==(const Identity&, const Identity&) = default;
};
/// Reads the client's first message (decoded). For LOGIN that is the user name alone.
Result<Identity> identity(Mechanism mechanism, std::string_view message);

/// RFC 4616; views into the message.
struct Plain {
    std::string_view authzid;
    std::string_view authcid;
    std::string_view password;
};
Result<Plain> parse_plain(std::string_view message);
/// Refuses NULs within the parts and an empty authcid.
Result<std::string> write_plain(std::string_view authzid, std::string_view authcid,
                                std::string_view password);

/// The message with the account's name replaced by `account`, wherever it stands in it.
/// ErrorKind::Refused for SCRAM.
Result<std::string> with_account(Mechanism mechanism, std::string_view message,
                                 std::string_view account);

}  // namespace muster::wire::sasl
