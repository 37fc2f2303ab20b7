#pragma once
// xtext (RFC 3461 section 4): `+XX` for what is not visible ASCII, for `+` and for `=`.

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"

namespace muster::wire {

[[nodiscard]] std::string xtext_encode(std::string_view bytes);
/// Upper-case hexadecimal digits only, as the RFC has it.
Result<std::string> xtext_decode(std::string_view text, std::size_t limit);

}  // namespace muster::wire
