#pragma once
// Patterns of domains as a node file has them: `a.example` is that name alone, `*.a.example` every
// name below it, `*` every name. Pure.

#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace muster::cluster {

/// The pattern in the spelling of parse_domain(), which domains have, too. Syntax error for what is
/// none.
Result<std::string> parse_domain_pattern(std::string_view text);

/// Whether one of them stands for `domain`, both in that spelling.
[[nodiscard]] bool is_among(std::span<const std::string> patterns, std::string_view domain);

}  // namespace muster::cluster
