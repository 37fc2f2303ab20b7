#pragma once
// IMAP (RFC 3501, 9051) as far as a proxy speaks it: commands before login, and the answers of a
// server until login is done. Lines come without CRLF; literals see strings.h.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "wire/capabilities.h"
#include "wire/introduction.h"
#include "wire/sasl.h"
#include "wire/strings.h"

namespace muster::wire::imap {

inline constexpr std::size_t kMaxTag = 64;
inline constexpr std::size_t kMaxVerb = 32;
inline constexpr std::size_t kMaxUser = 1024;
inline constexpr std::size_t kMaxPassword = 2048;

// ---- from the client

/// `TAG VERB REST`; views into the text. Compare verbs with equal_folded().
struct Command {
    std::string_view tag;
    std::string_view verb;
    std::string_view rest;  ///< after one space; empty if only spaces follow the verb
};
Result<Command> parse_command(std::string_view text);
/// The tag to answer a line with that parse_command() refused: its tag if valid, else "*".
std::string_view reply_tag(std::string_view text);

struct Login {
    std::string user;
    std::string password;
};
/// LOGIN's two strings: atoms (with `%` and `*`, which names have), quoted strings or literals.
Result<Login> parse_login(std::string_view rest);

/// AUTHENTICATE's mechanism and initial response: sasl::parse_auth_request().
using sasl::AuthRequest;
using sasl::parse_auth_request;

/// One field of ID (RFC 2971); no value is NIL.
struct IdField {
    std::string name{};
    std::optional<std::string> value{};
};
/// `NIL` or a list of at most 30 pairs, names up to 30 and values up to 1024 octets.
Result<std::vector<IdField>> parse_id(std::string_view rest);
/// `("name" "value" "other" NIL)`, or NIL for none. Fields that cannot stand in a line are left
/// out.
void append_id(std::string& out, std::span<const IdField> fields);
/// `x-…`: what only proxies may say. Such fields of a client are dropped.
bool is_proxy_field(std::string_view name);

// ---- to the client

std::string write_capabilities(const Capabilities& capabilities);  ///< `IMAP4rev1 AUTH=PLAIN …`
/// What is shown before login, from what all servers can do.
Capabilities before_login(const Capabilities& common, const Offer& offer);

// ---- from a server

enum class ResponseKind { Untagged, Tagged, Continuation };
enum class Status { Other, Ok, No, Bad, Bye, Preauth };

/// One response line; views into it.
struct Response {
    ResponseKind kind = ResponseKind::Untagged;
    Status status = Status::Other;
    std::string_view tag;
    std::string_view code;  ///< inside the brackets: `CAPABILITY IMAP4rev1 …`, `UNAVAILABLE`
    std::string_view text;  ///< what follows; all of it for a continuation or Status::Other

    [[nodiscard]] bool code_is(std::string_view name) const;
    [[nodiscard]] std::string_view code_arguments() const;
};
Result<Response> parse_response(std::string_view line);

/// Words of a capability list; at most 256, longer ones than 128 octets are ignored.
Capabilities parse_capabilities(std::string_view words);
/// The list that a response carries: code of a greeting or tagged OK, or `* CAPABILITY …`.
std::optional<Capabilities> capabilities_in(const Response& response);
/// The line with its [REFERRAL …] code (RFC 2221) and text taken out; others come back unchanged.
std::string without_referral(std::string_view line);

// ---- to a server

/// `TAG ID (…)` CRLF with what Dovecot takes from trusted peers: x-session-id, x-originating-ip …
Result<std::string> write_introduction(std::string_view tag, const Introduction& introduction);

/// LOGIN in pieces: after each but the last a `+` must be waited for. With `literal_plus` there is
/// only one. Quoted where possible, literals for 8-bit or CR and LF; NUL is refused.
Result<std::vector<std::string>> write_login(std::string_view tag, std::string_view user,
                                             std::string_view password, bool literal_plus);

}  // namespace muster::wire::imap
