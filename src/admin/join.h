#pragma once
// How a node becomes a member of a cluster: with a one-time token, or an administrator's name and
// password, either used once.

#include <nlohmann/json.hpp>

#include <string>

#include "admin/node_context.h"
#include "base/endpoint.h"

namespace muster::admin {

/// A new token and what is kept of it: its digest, with what it allows and when it ends.
struct JoinToken {
    std::string text;  ///< shown once: `NAME.SECRET`
    std::string key;   ///< of the entry in the state (no node may see it)
    nlohmann::json value;
};
JoinToken make_token(const std::string& name, const std::string& scope, std::int64_t ends_at);

/// The master's side, on a blocking thread. `pin` is that of the key with which the node came.
Result<nlohmann::json> accept_node(NodeContext& node, const nlohmann::json& request,
                                   const std::string& pin, const IpAddress& from);

struct JoinWish {
    std::string master;      ///< "HOST:PORT"
    std::string master_pin;  ///< empty: whoever answers is believed
    std::string token;       ///< or:
    std::string user;
    std::string password;
};
/// The new node's side: asks, and keeps what it learns in its state folder.
Result<> join_cluster(const NodeConfig& config, const JoinWish& wish);
/// The pin of whoever answers at a cluster port.
Result<std::string> peer_pin_at(const std::string& address);

/// Makes this node the first master of a new cluster: identity and its own entry.
Result<> init_cluster(const NodeConfig& config, const std::string& administrator,
                      const std::string& password);

}  // namespace muster::admin
