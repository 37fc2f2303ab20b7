#pragma once
// What another node says of itself and of this one.

#include "admin/peers.h"
#include "admin/standing.h"

namespace muster::admin {

struct StandingAnswer {
    Result<NodeStanding> standing;
    nlohmann::json refusal{};  ///< what it said instead; null when it could not be reached
};

/// Blocks for two seconds at most.
StandingAnswer ask_standing(const Peers& peers, const PeerAddress& peer);

}  // namespace muster::admin
