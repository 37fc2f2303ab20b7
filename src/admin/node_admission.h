#pragma once
// The master's side of a join: tokens, and who becomes a node of which scope.

#include <nlohmann/json.hpp>

#include <cstdint>
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

/// Who wishes to join.
struct JoinCaller {
    std::string pin;        ///< of the key with which it came
    bool in_clear = false;  ///< what it is answered can be read on the way
    IpAddress from{};
};
/// The master's side, on a blocking thread, of a join with a token. (With a password:
/// password_joins.h.)
Result<nlohmann::json> accept_node(NodeContext& node, const nlohmann::json& request,
                                   const JoinCaller& caller);
/// Of one who has proven to be an administrator. Conflict, with what to do, when the name is that
/// of another node.
Result<nlohmann::json> admit_node(NodeContext& node, const nlohmann::json& request,
                                  const JoinCaller& caller);
/// Syntax when a node cannot be as `request` says; Refused in clear for all but followers.
Result<> check_wish(const nlohmann::json& request, const JoinCaller& caller);

}  // namespace muster::admin
