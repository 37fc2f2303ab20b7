#include "net/socket_address.h"

#include <netinet/in.h>

#include <cstring>

namespace muster::net {

SocketAddress::SocketAddress(const Endpoint& endpoint) {
    if (endpoint.address.is_v4()) {
        auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
        v4.sin_family = AF_INET;
        v4.sin_port = htons(endpoint.port);
        std::memcpy(&v4.sin_addr, endpoint.address.v4().data(), 4);
        length = sizeof v4;
        return;
    }
    auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    std::memcpy(&v6.sin6_addr, endpoint.address.v6().data(), 16);
    length = sizeof v6;
}

Endpoint SocketAddress::endpoint() const {
    if (storage.ss_family == AF_INET) {
        const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
        IpAddress::V4 bytes;
        std::memcpy(bytes.data(), &v4.sin_addr, 4);
        return {IpAddress::from_v4(bytes), ntohs(v4.sin_port)};
    }
    if (storage.ss_family == AF_INET6) {
        const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
        IpAddress::V6 bytes;
        std::memcpy(bytes.data(), &v6.sin6_addr, 16);
        return {IpAddress::from_v6(bytes), ntohs(v6.sin6_port)};
    }
    return {};
}

}  // namespace muster::net
