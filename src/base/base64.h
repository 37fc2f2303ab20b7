#pragma once
// Base64 (RFC 4648 section 4) and hexadecimal: strict readers with bounds, and writers.

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"

namespace muster {

/// With padding, on one line.
[[nodiscard]] std::string base64_encode(std::string_view bytes);
/// Appends to `out`: no allocation where `out` has room.
void append_base64(std::string& out, std::string_view bytes);

/// Refuses anything but the one spelling that base64_encode gives: no spaces or line ends, exact
/// padding, no stray bits in the last character. More than `limit` bytes are ErrorKind::Limit.
Result<std::string> base64_decode(std::string_view text, std::size_t limit);

/// Lower case.
[[nodiscard]] std::string hex_encode(std::string_view bytes);
/// Both cases; an odd number of digits is refused.
Result<std::string> hex_decode(std::string_view text, std::size_t limit);

}  // namespace muster
