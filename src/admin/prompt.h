#pragma once
// Questions to whoever sits at the terminal.

#include <string>

#include "base/error.h"

namespace muster::admin {

/// Without echo, from the terminal itself (not standard input). Refused when there is none.
Result<std::string> ask_password(const std::string& question);
/// Twice, until both are the same.
Result<std::string> ask_new_password(const std::string& question);
/// The first line of standard input.
Result<std::string> password_from_stdin();
/// Waits for "yes" or "y". Refused when standard input is no terminal: then --yes is needed.
Result<> confirm(const std::string& question);

}  // namespace muster::admin
