#pragma once
// Dovecot's tab escaping: \001 and one of `0 1 t r n` for NUL, \001, TAB, CR and LF.

#include <string>
#include <string_view>

namespace muster::wire {

void append_tabescaped(std::string& out, std::string_view text);
/// An unknown escape stands for its character; a lone \001 at the end is dropped, as in Dovecot.
[[nodiscard]] std::string tabunescape(std::string_view text);

}  // namespace muster::wire
