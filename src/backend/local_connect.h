#pragma once
// Connections to unix sockets of this machine.

#include <filesystem>
#include <memory>

#include "net/socket_stream.h"

namespace muster::backend {

/// Connects at once or fails (a unix socket has no network to wait for). Unavailable: nobody
/// listens there, or its queue is full.
Result<std::unique_ptr<net::SocketStream>> connect_local(net::Loop& loop,
                                                         const std::filesystem::path& path);

}  // namespace muster::backend
