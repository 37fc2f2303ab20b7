#pragma once
// `server check`: what a front end proves of a server, and what the server's node saw of it.

#include <nlohmann/json.hpp>

#include "admin/api.h"
#include "admin/node_context.h"
#include "frontend/server_check.h"

namespace muster::admin {

/// "proofs": a list of {"service","step","result","ok","detail"}; "offers": by service what it
/// offers before login, {"offered","gained","lost"}. Blocks; `check` runs on the control loop.
nlohmann::json prove_server(NodeContext& node, frontend::ServerCheck& check,
                            const cluster::Server& server);

/// The call on a node that is no front end: another node answers it. Nodes that are asked this
/// way do not ask further.
ApiResult check_elsewhere(NodeContext& node, const ApiCall& call);

}  // namespace muster::admin
