#include "net/resolve.h"

#include <netdb.h>

#include <algorithm>
#include <cstring>

#include "net/socket_address.h"

namespace muster::net {

Result<std::vector<IpAddress>> resolve(const std::string& host) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0) {
        return fail(ErrorKind::Unavailable, "unavailable", host + ": " + gai_strerror(error));
    }
    std::vector<IpAddress> addresses;
    for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
        SocketAddress address;
        std::memcpy(address.data(), each->ai_addr, each->ai_addrlen);
        const IpAddress ip = address.endpoint().address;
        if (std::ranges::find(addresses, ip) == addresses.end()) addresses.push_back(ip);
    }
    freeaddrinfo(found);
    if (addresses.empty())
        return fail(ErrorKind::Unavailable, "unavailable", host + ": no address");
    return addresses;
}

}  // namespace muster::net
