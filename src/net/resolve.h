#pragma once
// Host names to addresses, as the system does it (hosts file, DNS).

#include <string>
#include <vector>

#include "base/endpoint.h"
#include "base/error.h"

namespace muster::net {

/// Blocks for as long as the resolver takes: not for loops' threads. At least one address, or
/// Unavailable with the resolver's reason.
Result<std::vector<IpAddress>> resolve(const std::string& host);

}  // namespace muster::net
