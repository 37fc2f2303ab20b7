#pragma once
// HAProxy's PROXY protocol, versions 1 and 2: read from listed balancers, written to foreign
// servers.

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "base/endpoint.h"
#include "base/error.h"

namespace muster::wire::proxy_protocol {

inline constexpr std::size_t kMaxV1 = 107;   ///< the specification's bound, CRLF included
inline constexpr std::size_t kMaxV2 = 4096;  ///< ours, TLVs included; a header may say 65,551

/// A whole header. `local`: the balancer speaks for itself (LOCAL, UNKNOWN, UNSPEC): the
/// connection's own addresses hold.
struct Header {
    bool local = true;
    Endpoint source;       ///< the client
    Endpoint destination;  ///< where the client connected to
    std::size_t size = 0;  ///< octets of the header; what follows is the client's

    friend bool operator==(const Header&, const Header&) = default;
};
/// So far so good; at least `size` octets are needed in all.
struct NeedMore {
    std::size_t size = 0;
};
using Parsed = std::variant<NeedMore, Header>;

/// Give it all octets received so far. A prefix of a valid header is never an error; what is one
/// stays one.
Result<Parsed> parse(std::string_view bytes);

std::string write_v1(const Endpoint& source, const Endpoint& destination);
std::string write_v2(const Endpoint& source, const Endpoint& destination);
std::string write_v2_local();

}  // namespace muster::wire::proxy_protocol
