#pragma once
// JSON from outside as values: bounded before anything is built, and written without exceptions.

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace muster::state {

/// Copying, writing and freeing a value recurse once for each level.
inline constexpr std::size_t kMaxJsonDepth = 64;

/// Whether objects and lists stand in each other more than `levels` deep.
bool nests_deeper(std::string_view text, std::size_t levels);

/// The value, or a discarded one (`is_discarded()`) for what is no JSON or nests too deeply. Never
/// throws.
nlohmann::json parse_json(std::string_view text);

/// One line; what is no UTF-8 becomes U+FFFD. Never throws for a value that parse_json() gave, nor
/// for texts of any bytes.
std::string json_line(const nlohmann::json& value);

}  // namespace muster::state
