#pragma once
// One call to all other nodes at once.

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

#include "admin/api.h"
#include "admin/node_context.h"
#include "admin/peers.h"

namespace muster::admin {

struct PeerAnswer {
    PeerAddress peer;
    Result<nlohmann::json> answer;
};

/// See admin/peer_answers.h.
using Sensible = bool (*)(const nlohmann::json& answer);

/// Blocks until every node has answered or its patience is over. The answers stand in the order
/// of the peers; one that is not `sensible` is Unavailable.
std::vector<PeerAnswer> ask_all(const Peers& peers, const net::HttpCall& call,
                                const CallBounds& bounds, Sensible sensible);
/// The same of one node.
Result<nlohmann::json> ask(const Peers& peers, const PeerAddress& peer, const net::HttpCall& call,
                           const CallBounds& bounds, Sensible sensible);
/// Says in `out` who asks, for a call by which other nodes do to their own sessions or queues what
/// an administrator asked of this node, which has checked his rights. A master and a back end ask
/// with their own key; only a front end, which may do nothing by itself, shows his password.
void speak_for(const NodeContext& node, const Caller& caller, net::HttpCall& out);
/// Turns a reply into its JSON body, or into the error that it tells.
Result<nlohmann::json> body_of(const Result<net::HttpReply>& reply);

/// The state of all servers: what this node sees, and where it checks none, what front ends see.
nlohmann::json observed_servers(NodeContext& node, const std::vector<PeerAnswer>& statuses);
nlohmann::json servers_here(const NodeContext& node);

/// Ends every session of an account in the whole cluster: front ends kick, its home makes sure
/// that nothing of it is left open. What could not be reached stands in "unreachable"; what its
/// home could not end, in "home_error".
nlohmann::json end_account_everywhere(NodeContext& node, const cluster::Account& account,
                                      const std::string& reason);
/// The same for many, one after the other: "accounts", "kicked", "unreachable" (each name once),
/// "home_errors" (by address, the first 100). What a minute does not suffice for is left to the
/// nodes, which end what their replicas refuse: "left_to_nodes" says how many.
nlohmann::json end_accounts_everywhere(NodeContext& node,
                                       const std::vector<cluster::Account>& accounts,
                                       const std::string& reason);

}  // namespace muster::admin
