#include "base/client_network.h"

#include <algorithm>

namespace muster {

IpAddress client_network(const IpAddress& client) {
    if (client.is_v4()) return client;
    IpAddress::V6 bytes = client.v6();
    std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
    return IpAddress::from_v6(bytes);
}

}  // namespace muster
