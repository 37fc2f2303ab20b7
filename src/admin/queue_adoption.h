#pragma once
// Taking over the queue of a dead node: that node is revoked first, so that it cannot come back.

#include <nlohmann/json.hpp>

#include <functional>
#include <string>

#include "admin/api.h"
#include "queue/adoption.h"
#include "queue/owner.h"

namespace muster::admin {

struct AdoptionCandidate {
    std::string dir;
    queue::Owner owner;
    bool ours = false;     ///< an adoption that was interrupted
    bool member = false;   ///< the owner is a node of this cluster
    bool revoked = false;  ///< of a member: already
};

/// Reads DIR/OWNER. Syntax for a path that is not absolute, NotFound without a queue there,
/// Conflict while a process runs that queue.
Result<AdoptionCandidate> adoption_candidate(NodeContext& node, const std::string& dir);
nlohmann::json shown(const AdoptionCandidate& candidate);

/// Revokes the owner, if it is a member and `revoke` allows it (else Conflict), waits until this
/// node knows, and takes its queue. Blocks. `progress` as Spool::adopt.
Result<queue::AdoptReport> adopt_queue(
    NodeContext& node, const std::string& dir, bool revoke, const Caller& caller,
    const std::function<void(const queue::AdoptReport&)>& progress);

/// The error of a call that needs a queue on this node: it says which nodes have one. Asks them.
std::unexpected<Error> no_queue_here(NodeContext& node);

}  // namespace muster::admin
