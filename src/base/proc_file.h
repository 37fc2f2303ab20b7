#pragma once
// Files of /proc (proc(5)), which may go while they are read.

#include <string>

namespace muster {

/// What the file holds, at most 64 MiB of it; empty when it cannot be read. Throws nothing but
/// std::bad_alloc: a stream would, when the process behind the file ends while it is read.
std::string read_proc_file(const std::string& path);

}  // namespace muster
