#pragma once
// Calls that reach one node and are for another.

#include "admin/api.h"

namespace muster::admin {

/// Names the node that a call is for (lower case, as the server has it).
inline constexpr std::string_view kNodeHeader = "x-muster-node";

/// Passes a call on, body and answer as they come, when it names another node of the cluster, or is
/// one with a large body that needs the master; true when it was one, and has been answered. Who
/// calls is told with it, so the other node judges the rights. What a member passes on goes no
/// further.
Task<bool> pass_on(NodeContext& node, net::HttpExchange& exchange, const Caller& caller);

}  // namespace muster::admin
