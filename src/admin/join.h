#pragma once
// How a node becomes a member of a cluster: with a one-time token, or an administrator's name and
// password, either used once. The master's side is node_admission.h.

#include <nlohmann/json.hpp>

#include <string>

#include "admin/node_context.h"
#include "base/endpoint.h"

namespace muster::admin {

struct JoinWish {
    std::string master;      ///< "HOST:PORT"
    std::string master_pin;  ///< empty: proven by the password, else whoever answers is believed
    std::string token;       ///< or:
    std::string user;
    std::string password;
    std::string name;       ///< of the node there
    std::string scope;      ///< what it wishes to see
    bool may_lead = false;  ///< it has the role master
    std::string cluster;    ///< "HOST:PORT" of its cluster listener; empty: none for that network
    std::string source_address;
    bool encryption = true;
};
/// What a member of its own cluster asks for, and what a follower of another network.
JoinWish member_wish(const NodeConfig& config);
JoinWish follower_wish(const NodeConfig& config, const FollowSettings& follow);

/// The new node's side: asks with the key of `identity`, and fills in what it learns of the
/// cluster. Nothing is believed of a master that does not prove to know the password.
Result<> ask_to_join(const JoinWish& wish, NodeIdentity& identity);
/// Keeps what it learns in the state folder.
Result<> join_cluster(const NodeConfig& config, const JoinWish& wish);
/// The same for a followed network, in its folder.
Result<> join_network(const NodeConfig& config, const FollowSettings& follow, const JoinWish& wish);
/// Joins the own cluster as the node file says ([cluster] masters, user, password_file), if it does
/// and the node belongs to none yet.
Result<> join_by_file(const NodeConfig& config);
/// After a join, by whatever means: removes the named password file unless a join that is still to
/// come names it, too. One that read_password_file() refuses stays, with a warning in the log.
void remove_used_password(const NodeConfig& config, const std::string& path);
/// The pin of whoever answers at a cluster port.
Result<std::string> peer_pin_at(const std::string& address);

/// Makes this node the first master of a new cluster: identity and its own entry.
Result<> init_cluster(const NodeConfig& config, const std::string& administrator,
                      const std::string& password);

}  // namespace muster::admin
