#pragma once
// HMAC-SHA-256 (RFC 2104), for tags that only holders of a key can make.

#include <string>
#include <string_view>

namespace muster {

/// 32 bytes.
std::string hmac_sha256(std::string_view key, std::string_view text);

}  // namespace muster
