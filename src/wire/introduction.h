#pragma once
// What a server is told about the client that it cannot see. Each grammar writes it its way: IMAP
// as ID fields, POP3 and ManageSieve as XCLIENT, foreign servers get a PROXY header.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/endpoint.h"
#include "base/error.h"

namespace muster::wire {

/// An extra field for Dovecot's auth (`forward_NAME` there): name at most 20, value at most 1024
/// octets.
struct ForwardField {
    std::string_view name;
    std::string_view value;
};

inline constexpr std::size_t kMaxSessionId = 64;  ///< Dovecot ignores longer ones
inline constexpr std::size_t kMaxForwardName = 20;
inline constexpr std::size_t kMaxForwardValue = 1024;  ///< Dovecot says BYE to longer ones

struct Introduction {
    Endpoint client{};
    Endpoint local{};  ///< where the client connected to
    std::string_view session_id{};
    unsigned ttl = 5;  ///< proxies left before a loop is suspected (Dovecot's default)
    std::span<const ForwardField> forward{};
};

/// Whether the session id and the fields keep the bounds above and fit a line. The writers ask.
Result<> check(const Introduction& introduction);

/// `XCLIENT ADDR=… PORT=… SESSION=… TTL=… [FORWARD=base64]` CRLF as Dovecot's POP3 and ManageSieve
/// take it: no `IPV6:` prefix and no xtext, so a session id of other than visible characters is
/// refused. More than kMaxXclient octets are ErrorKind::Limit.
Result<std::string> write_xclient(const Introduction& introduction);

/// Dovecot's login processes take lines of 4096 octets (LOGIN_MAX_INBUF_SIZE; for XCLIENT over
/// POP3 and ManageSieve seen with 2.3). The longest account's name and session id need 610.
inline constexpr std::size_t kMaxXclient = 1024;

}  // namespace muster::wire
