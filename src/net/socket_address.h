#pragma once
// Endpoint <-> sockaddr. For net/*.cpp only.

#include <sys/socket.h>

#include "base/endpoint.h"

namespace muster::net {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t length = sizeof(sockaddr_storage);

    SocketAddress() = default;
    explicit SocketAddress(const Endpoint& endpoint);

    [[nodiscard]] sockaddr* data() { return reinterpret_cast<sockaddr*>(&storage); }
    [[nodiscard]] const sockaddr* data() const {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
    /// The default Endpoint for other families than IPv4 and IPv6.
    [[nodiscard]] Endpoint endpoint() const;
};

}  // namespace muster::net
