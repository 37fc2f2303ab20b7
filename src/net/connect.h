#pragma once
// Connections to other machines.

#include <memory>
#include <optional>

#include "base/endpoint.h"
#include "net/socket_stream.h"
#include "net/stream_set.h"

namespace muster::net {

/// Connects from `source` (or as the kernel likes). The port is chosen late
/// (IP_BIND_ADDRESS_NO_PORT), so one source address serves 64k connections to each server.
/// Errors are Unavailable and say why: refused, unreachable, timed out. Meanwhile the stream is one
/// of `under_way`; ended there, it has timed out.
Task<Result<std::unique_ptr<SocketStream>>> connect(Loop& loop, Endpoint to,
                                                    std::optional<IpAddress> source, Duration limit,
                                                    StreamSet* under_way = nullptr);

/// Whether this machine has that address, so that one can connect from it.
bool has_address(const IpAddress& address);

/// Whether somebody listens there now. Blocks for a moment: not for loops' threads.
bool accepts_connections(const Endpoint& endpoint);

}  // namespace muster::net
