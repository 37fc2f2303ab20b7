#pragma once
// What nodes that may lead tell each other of themselves. Pure.

#include <nlohmann/json.hpp>

#include <optional>
#include <string>

#include "state/cursor.h"

namespace muster::admin {

struct NodeStanding {
    std::string name;
    bool leads = false;
    bool writes = false;     ///< it leads, and nothing keeps it from writing
    bool may_lead = false;   ///< it could be promoted now
    std::string why;         ///< it does not write, or may not lead
    state::History history;  ///< without an incarnation: it has none to show
};

nlohmann::json to_json(const NodeStanding& standing);
/// Nothing for nonsense.
std::optional<NodeStanding> standing_from(const nlohmann::json& answer);

/// What a node says of itself to a key that belongs to no member of its cluster, or no longer to
/// one: enough to judge whether it can know. Such an answer tells nothing else.
nlohmann::json refusal_of(const state::History& history, bool revoked);
/// Whether that refusal puts a node with this history out: it comes from a node that has heard of
/// the same mastership, or a later one. One that was away for longer does not know who leads now.
bool puts_out(const nlohmann::json& refusal, const state::History& ours);

/// Of two masters that both believe they lead.
enum class Rivalry : std::uint8_t {
    Ours,       ///< this node leads rightly; the other one finds out by itself
    OursEqual,  ///< both were promoted at once: this one goes on, in a mastership of its own
    Waits,      ///< both were promoted at once: the other one goes on, once it has found out
    Theirs,     ///< this node was deposed
};
Rivalry judge(const state::History& ours, const state::History& theirs);

}  // namespace muster::admin
