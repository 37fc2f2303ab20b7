#pragma once
// `muster serve`: one node as a process.

#include <string>

namespace muster::admin {

/// Reads the file, runs the node until SIGTERM or SIGINT, and returns the process's exit code.
/// SIGHUP reads the file again.
int serve(const std::string& file);

}  // namespace muster::admin
