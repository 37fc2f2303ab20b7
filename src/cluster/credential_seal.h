#pragma once
// A foreign server's master password as it may stand in the state, which every front end copies.

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/seal.h"

namespace muster::cluster {

/// `{SEALED}` and the seal in base64. One that is sealed already stays as it is.
std::string sealed_password(std::string_view password, const SealSecret& secret);
/// The same text each time (seal_alike).
std::string sealed_alike(std::string_view password, const SealSecret& key);
[[nodiscard]] bool is_sealed(std::string_view password);

/// A password from before they were sealed is returned as it is. Errors: Refused (made under
/// another secret, or this node has none), Corrupt.
Result<std::string> opened_password(std::string_view stored, const SealSecret& secret);

}  // namespace muster::cluster
