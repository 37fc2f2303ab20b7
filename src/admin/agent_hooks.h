#pragma once
// Between a back end's agent and the API: what the one offers to other nodes, and what it asks of
// the master.

#include <span>

#include "admin/api.h"
#include "admin/node_context.h"
#include "backend/agent.h"

namespace muster::admin {

/// Writes shares of mailboxes where the state is written: here, or on the master.
backend::ShareWriter share_writer(NodeContext& node);

/// Fills the hooks that need the agent. Both must outlive the API's calls.
void offer_agent(NodeContext& node, backend::Agent& agent);

std::span<const ApiRoute> agent_routes();

}  // namespace muster::admin
