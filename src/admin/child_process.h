#pragma once
// Programs that this one starts and ends.

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/error.h"

namespace muster::admin {

struct ChildCommand {
    std::string name;  ///< for messages
    std::vector<std::string> arguments;
    std::string log;                ///< file that takes its output
    bool dies_with_parent = false;  ///< SIGTERM when this process ends in whatever way
};

/// Starts it in a session of its own, so that a Ctrl-C at the terminal is ours alone.
Result<pid_t> start_child(const ChildCommand& command);

/// Whether the process runs and is a child of ours, or its command line contains `mark` (pids are
/// reused).
bool is_running(pid_t pid, const std::string& mark);

/// SIGTERM to all, SIGKILL after `patience` to those left. Returns when all have ended.
void end_processes(const std::vector<pid_t>& pids, const std::string& mark,
                   std::chrono::milliseconds patience);

}  // namespace muster::admin
