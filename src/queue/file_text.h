#pragma once
// Values as they stand in queue files. Pure.

#include <cstdint>
#include <string>
#include <string_view>

#include "queue/queue_id.h"

namespace muster::queue {

/// Control characters, DEL, `%` and, unless `spaces`, spaces become %XX; other bytes stay.
void append_escaped(std::string& out, std::string_view value, bool spaces = false);
/// Appends to `out`; false for a `%` without two hexadecimal digits.
bool unescape(std::string_view text, std::string& out);

/// `2026-10-01T12:00:00.123Z`, years 1970 to 9999; others are cut to that.
void append_time(std::string& out, Time time);
bool read_time(std::string_view text, Time& out);

/// Lower-case digits to the given base, with leading zeros.
void append_padded(std::string& out, std::uint64_t value, std::size_t width, unsigned base);

}  // namespace muster::queue
