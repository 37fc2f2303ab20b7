#pragma once
// Files with the password for one join.

#include <string>

#include "base/error.h"

namespace muster::admin {

/// Its first line. Refused, with what to do, unless it is a regular file that belongs to the user
/// of the process and that nobody else may read; NotFound when there is none.
Result<std::string> read_password_file(const std::string& path);
/// After a join: the password is not needed any more. What cannot be removed is emptied, and
/// a warning in the log.
void remove_password_file(const std::string& path);

}  // namespace muster::admin
