#pragma once
// What a reload does with the options that have changed. Pure.

#include <string>
#include <vector>

#include "admin/node_file.h"

namespace muster::admin {

/// Options by name ("limits.line"; all listeners together are "listener").
struct ReloadPlan {
    std::vector<std::string> taken_over;
    std::vector<std::string> need_restart;
};

/// `running` holds the values in use, which may be older than the file's last reading.
ReloadPlan plan_reload(const NodeConfig& running, const NodeConfig& fresh);
/// `running` with the values of `fresh` that a reload takes over.
void take_over(NodeConfig& running, const NodeConfig& fresh);
/// "limits.line, node.workers"; "none" for an empty list.
std::string listed(const std::vector<std::string>& names);

}  // namespace muster::admin
