#pragma once
// POP3 (RFC 1939, 2449, 5034, 2595) as far as a proxy speaks it. Lines come without CRLF.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "wire/capabilities.h"
#include "wire/introduction.h"
#include "wire/sasl.h"

namespace muster::wire::pop3 {

inline constexpr std::size_t kMaxVerb = 16;
inline constexpr std::size_t kMaxLine = 512;  ///< RFC 2449 says 255; AUTH's responses are longer

// ---- from the client

/// `VERB REST`; views into the line. `rest` is everything behind one space, spaces included (a
/// password may have them). APOP cannot be routed: the server would have to speak first.
struct Command {
    std::string_view verb;
    std::string_view rest;
};
Result<Command> parse_command(std::string_view line);

/// AUTH's mechanism and initial response: sasl::parse_auth_request().
using sasl::AuthRequest;
using sasl::parse_auth_request;

// ---- to the client

/// `+OK` and the listing up to the final dot, with CRLFs.
std::string write_capabilities(const Capabilities& capabilities);
Capabilities before_login(const Capabilities& common, const Offer& offer);

// ---- from a server

enum class ResponseKind { Ok, Err, Continuation };

/// One response line; views into it.
struct Response {
    ResponseKind kind = ResponseKind::Ok;
    std::string_view code;  ///< inside the brackets (RFC 2449): `SYS/TEMP`, `AUTH`, `XCLIENT`
    std::string_view text;
};
Result<Response> parse_response(std::string_view line);
/// Dovecot's greeting to trusted peers: `+OK [XCLIENT] …`.
bool offers_xclient(const Response& greeting);

/// Collects CAPA's listing line by line.
class CapabilityListing {
public:
    /// True when the final dot came. At most 128 lines.
    Result<bool> add(std::string_view line);
    [[nodiscard]] const Capabilities& capabilities() const { return capabilities_; }

private:
    Capabilities capabilities_;
    unsigned lines_ = 0;
};

// ---- to a server: write_xclient() of introduction.h, and

/// `USER NAME` CRLF, `PASS …` CRLF …: refuses what does not fit a line.
Result<std::string> write_command(std::string_view verb, std::string_view argument = {});

}  // namespace muster::wire::pop3
