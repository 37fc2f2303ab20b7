#pragma once
// The client's side of Dovecot's auth protocol (major version 1), for relaying a SASL exchange to
// its auth-client socket. Lines end with LF and come here without it.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/endpoint.h"
#include "base/error.h"
#include "wire/introduction.h"

namespace muster::wire::dovecot_auth {

inline constexpr std::size_t kMaxLine = 16384;

// ---- from Dovecot

struct Version {
    unsigned major = 0;
    unsigned minor = 0;
};
struct Spid {
    std::string id;
};
struct Cuid {
    std::string id;
};
struct Cookie {
    std::string hex;
};
struct Mech {
    std::string name;
    std::vector<std::string> flags;  ///< plaintext, dictionary, active, private …
};
struct Done {};

/// The exchange goes on; `data` is base64.
struct Continue {
    std::uint32_t id = 0;
    std::string data;
};
/// `name=value` or `name`.
struct Field {
    std::string name;
    std::string value;

    friend bool operator==(const Field&, const Field&) = default;
};
struct Ok {
    std::uint32_t id = 0;
    std::vector<Field> fields;  ///< user=…, resp=… (base64 of the last server message) …

    [[nodiscard]] std::optional<std::string_view> field(std::string_view name) const;
    [[nodiscard]] std::string_view user() const { return field("user").value_or(""); }
};
struct Fail {
    std::uint32_t id = 0;
    std::vector<Field> fields;  ///< user=…, reason=…, code=…, temp, user_disabled …

    [[nodiscard]] std::optional<std::string_view> field(std::string_view name) const;
    /// Dovecot could not judge (its database was away): not a wrong password.
    [[nodiscard]] bool temporary() const;
};
/// A command that a newer Dovecot says and that may be ignored.
struct Other {
    std::string name;
};
using Message = std::variant<Version, Spid, Cuid, Cookie, Mech, Done, Continue, Ok, Fail, Other>;

Result<Message> parse_message(std::string_view line);

// ---- to Dovecot

/// `VERSION 1 2` and `CPID`, to be sent at once.
std::string write_handshake(std::uint32_t process_id);

struct Request {
    std::uint32_t id = 0;  ///< not reused on this connection while in use
    std::string_view mechanism{};
    std::string_view service{};  ///< imap, pop3, smtp …
    bool secured = false;        ///< the client's connection is encrypted: PLAIN is allowed
    bool no_penalty = true;      ///< delays live at the front end
    std::optional<Endpoint> client{};
    std::optional<Endpoint> local{};
    std::string_view session_id{};
    std::optional<std::string_view> initial{};  ///< base64; present and empty: an empty message
};
std::string write_request(const Request& request);
/// `data`: base64.
std::string write_continue(std::uint32_t id, std::string_view data);
std::string write_cancel(std::uint32_t id);

}  // namespace muster::wire::dovecot_auth
