#pragma once
// Postfix' socketmap protocol (socketmap_table(5)): netstrings `LENGTH:TEXT,` that hold a request
// `NAME KEY` or a reply `STATUS TEXT`. We are the server.

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "base/error.h"

namespace muster::wire::socketmap {

inline constexpr std::size_t kMaxRequest = 1024;   ///< ours: a map's name and an address
inline constexpr std::size_t kMaxReply = 100'000;  ///< Postfix' bound

/// A whole netstring; `text` is a view into the bytes that were parsed.
struct Netstring {
    std::string_view text;
    std::size_t size = 0;  ///< octets with length and comma; what follows is the next one's
};
/// So far so good; at least `size` octets are needed in all.
struct NeedMore {
    std::size_t size = 0;
};
using Parsed = std::variant<NeedMore, Netstring>;

/// Give it all octets received and not yet consumed. Errors are for good: close the connection.
/// ErrorKind::Limit: longer than `limit`; Syntax: no netstring (leading zeros included).
Result<Parsed> parse_netstring(std::string_view bytes, std::size_t limit = kMaxRequest);

/// `NAME KEY`, views into the text. The key may have spaces and UTF-8.
struct Request {
    std::string_view name;
    std::string_view key;
};
/// Syntax: no name, no space, or NUL, CR or LF. Answer it with Status::Permanent.
Result<Request> parse_request(std::string_view text);

enum class Status { Ok, NotFound, Temporary, Timeout, Permanent };
/// Appends `OK text`, `NOTFOUND `, `TEMP reason`, `TIMEOUT reason` or `PERM reason` as a
/// netstring. Control characters become spaces. A text that does not fit kMaxReply is never cut: it
/// is answered with PERM.
void append_reply(std::string& out, Status status, std::string_view text = {});

}  // namespace muster::wire::socketmap
