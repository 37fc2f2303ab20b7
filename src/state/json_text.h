#pragma once
// Checking JSON text without building it: values travel as the text that was committed.

#include <cstddef>
#include <string>
#include <string_view>

namespace muster::state {

/// Length of the one JSON value that `text` begins with (RFC 8259, strict UTF-8, at most 64 deep,
/// numbers within 40 digits and an exponent of 99, no line breaks), or 0 when there is none.
std::size_t json_length(std::string_view text);

/// Length of the well-formed UTF-8 sequence that `text` begins with, or 0.
std::size_t utf8_length(std::string_view text);

/// Appends `text`, which must be valid UTF-8 without control characters, as a JSON string.
void append_json_string(std::string& out, std::string_view text);

}  // namespace muster::state
