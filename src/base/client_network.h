#pragma once
// What counts as one client where clients are limited.

#include "base/endpoint.h"

namespace muster {

/// An IPv4 client is its address; an IPv6 client is its network of 64 bits, within which a host
/// chooses its address freely (RFC 6177).
IpAddress client_network(const IpAddress& client);

}  // namespace muster
