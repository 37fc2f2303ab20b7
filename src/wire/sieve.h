#pragma once
// ManageSieve (RFC 5804) as far as a proxy speaks it. Lines come without CRLF; literals see
// strings.h (`{N+}` from clients, `{N}` from servers).

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "wire/capabilities.h"
#include "wire/introduction.h"
#include "wire/sasl.h"
#include "wire/strings.h"

namespace muster::wire::sieve {

inline constexpr std::size_t kMaxVerb = 32;

// ---- from the client

/// `VERB REST`; views into the text.
struct Command {
    std::string_view verb;
    std::string_view rest;
};
Result<Command> parse_command(std::string_view text);

/// `"MECH"` and an optional initial response, which is base64 in a string ("" for an empty one).
Result<sasl::AuthRequest> parse_authenticate(std::string_view rest);
/// A SASL response line: one string; the view points into `text`. Base64 needs no escapes, so a
/// string with any is refused. `"*"` cancels.
Result<std::string_view> parse_response_string(std::string_view text);
/// NOOP's optional string, to be answered with the code TAG.
Result<std::optional<std::string>> parse_noop(std::string_view rest);

// ---- to the client

/// A string as servers write it: quoted where possible, else `{N}` CRLF and the octets.
void append_server_string(std::string& out, std::string_view text);
/// The listing: one line a capability, without the OK that ends it.
std::string write_capabilities(const Capabilities& capabilities);
Capabilities before_login(const Capabilities& common, const Offer& offer);
/// `OK (CODE) "text"` CRLF; code and text may be empty. `code` is written as it is.
std::string write_response(std::string_view status, std::string_view code, std::string_view text);

// ---- from a server

enum class Status { Ok, No, Bye };

/// The response that ends a command. Texts are copies: they may be literals.
struct Response {
    Status status = Status::Ok;
    std::string code;  ///< inside the parentheses: `SASL "…"`, `TRYLATER`, `REFERRAL …`
    std::string text;

    [[nodiscard]] bool code_is(std::string_view name) const;
    [[nodiscard]] std::string_view code_arguments() const;
};
/// Whether a text starts with OK, NO or BYE, so that it ends a listing.
bool is_response(std::string_view text);
/// `text` is one line, or lines and literals of a CommandAssembler.
Result<Response> parse_response(std::string_view text);
/// `"NAME"` or `"NAME" "VALUE"`, added to `capabilities` (at most 128).
Result<> parse_capability(std::string_view text, Capabilities& capabilities);

// ---- to a server: write_xclient() of introduction.h, and

/// A string as clients write it: quoted where possible, else `{N+}` CRLF and the octets.
void append_string(std::string& out, std::string_view text);
/// `AUTHENTICATE "MECH" ["initial"]` CRLF.
std::string write_authenticate(std::string_view mechanism, std::optional<std::string_view> initial);

}  // namespace muster::wire::sieve
