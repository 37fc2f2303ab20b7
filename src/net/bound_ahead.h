#pragma once
// Ports of a process that is about to give up the right to bind them.

#include <cstddef>
#include <optional>

#include "base/endpoint.h"
#include "base/error.h"

namespace muster::net {

/// Binds `count` sockets (one for each thread that will listen), which listen_tcp() uses from then
/// on for this endpoint, again after it was closed, too. Not for port 0. Thread-safe.
Result<> bind_ahead(const Endpoint& endpoint, std::size_t count);

/// A socket of those that listens now; empty when none is left or none was bound. The caller owns
/// the descriptor; the port stays bound when it is closed.
std::optional<int> listen_bound_ahead(const Endpoint& endpoint);

/// A bound TCP socket with the options of a listener; says in an operator's words what is wrong.
Result<int> bind_tcp(const Endpoint& endpoint);

/// As many connections as may wait to be accepted.
inline constexpr int kBacklog = 4096;

}  // namespace muster::net
