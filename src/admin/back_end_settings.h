#pragma once
// From the node file to what the agent of a back end wants to know.

#include <string_view>

#include "admin/node_file.h"
#include "backend/agent.h"

namespace muster::admin {

/// `cluster_secret` may be empty (a node that is in no cluster yet).
backend::AgentSettings agent_settings(const NodeConfig& config, std::string_view cluster_secret);

}  // namespace muster::admin
