#pragma once
// One call to all other nodes at once.

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

#include "admin/node_context.h"
#include "admin/peers.h"

namespace muster::admin {

struct PeerAnswer {
    PeerAddress peer;
    Result<nlohmann::json> answer;
};

/// Blocks until every node has answered or `patience` is over for it. The answers stand in the
/// order of the peers.
std::vector<PeerAnswer> ask_all(const Peers& peers, const net::HttpCall& call,
                                std::chrono::milliseconds patience);
/// Turns a reply into its JSON body, or into the error that it tells.
Result<nlohmann::json> body_of(const Result<net::HttpReply>& reply);

/// The state of all servers: what this node sees, and where it checks none, what front ends see.
nlohmann::json observed_servers(NodeContext& node, const std::vector<PeerAnswer>& statuses);
nlohmann::json servers_here(const NodeContext& node);

/// Ends every session of an account in the whole cluster: front ends kick, its home makes sure
/// that nothing of it is left open. What could not be reached stands in "unreachable".
nlohmann::json end_account_everywhere(NodeContext& node, const cluster::Account& account,
                                      const std::string& reason);

}  // namespace muster::admin
