// Who leads, and how that is changed.

#include <array>

#include "admin/api.h"
#include "admin/ask_standing.h"
#include "admin/fan_out.h"
#include "admin/leadership.h"
#include "admin/peers.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr CallBounds kTakeOverBounds{std::chrono::milliseconds(60'000)};

NodeStanding standing_here(const NodeContext& node) {
    if (node.leadership != nullptr) return node.leadership->standing();
    return {.name = node.config.node.name.text,
            .why = "this node has not got the role master",
            .history = {}};
}

ApiResult standing(NodeContext& node, ApiCall&) { return to_json(standing_here(node)); }

json shown(const std::string& name, const NodeStanding& standing) {
    json row = to_json(standing);
    row["name"] = name;
    row["reachable"] = true;
    row.erase("terms");
    return row;
}

/// All that lead or may lead, and how far each is behind what the furthest of them has.
ApiResult masters(NodeContext& node, ApiCall&) {
    json rows = json::array();
    if (node.leadership != nullptr) {
        rows.push_back(shown(node.config.node.name.text, standing_here(node)));
    }
    for (const PeerAddress& peer : node.peers->masters()) {
        const auto answer = ask_standing(*node.peers, peer).standing;
        if (answer) {
            const NodeStanding& theirs = *answer;
            rows.push_back(shown(theirs.name.empty() ? peer.name.text : theirs.name, theirs));
        } else {
            rows.push_back({{"name", peer.name.text},
                            {"reachable", false},
                            {"leads", false},
                            {"why", answer.error().detail}});
        }
    }
    Revision furthest = 0;
    for (const json& row : rows) furthest = std::max(furthest, row.value("revision", Revision{0}));
    for (json& row : rows) {
        if (row.contains("revision")) row["behind"] = furthest - row["revision"].get<Revision>();
    }
    return json{{"masters", std::move(rows)}};
}

ApiResult promote(NodeContext& node, ApiCall& call) {
    const auto name = text_field(call.body, "name");
    if (!name) return std::unexpected(name.error());
    const bool is_forced = call.body.value("force", false);
    call.audit.object = *name;
    call.audit.after = {{"force", is_forced}};
    const NodeName wanted(*name);
    if (!is_forced) {
        if (node.is_master()) return node.leadership->hand_over(wanted);
        if (call.caller.is_node) {
            return fail(ErrorKind::Refused, std::string(state::kMasterChanging),
                        "not a master: ask a master");
        }
        return body_of(node.peers->call_master(passed_on(call)));
    }
    if (wanted == node.config.node.name) {
        if (node.leadership != nullptr) return node.leadership->take_over();
        return fail(ErrorKind::Refused, *name + " has not got the role master");
    }
    if (call.caller.is_node) return fail(ErrorKind::Refused, "this node is not " + *name);
    const auto peer = node.peers->find(wanted);
    if (!peer) return fail(ErrorKind::NotFound, "there is no node " + *name);
    return body_of(node.peers->call(*peer, passed_on(call), kTakeOverBounds));
}

ApiResult accept_loss(NodeContext& node, ApiCall& call) {
    NodeName revoked;
    if (call.body.is_object() && call.body.contains("revoke")) {
        const auto name = text_field(call.body, "revoke");
        if (!name || name->empty()) return fail(ErrorKind::Syntax, "revoke: the name of a node");
        revoked = NodeName(*name);
        call.audit.object = *name;
        call.audit.after = {{"revoked", true}};
    }
    return node.leadership->accept_loss(revoked);
}

/// Of the node that leads by what this one knows.
Result<NodeName> leader_that_asks(const NodeContext& node, const ApiCall& call) {
    const auto topology = node.topology->current();
    const cluster::Node* entry = topology->node(call.caller.member);
    const bool leads = call.caller.is_node && entry != nullptr && entry->master;
    if (!leads || node.leadership == nullptr) {
        return fail(ErrorKind::Refused, "only who leads may ask a stand-in for this");
    }
    return entry->name;
}

Result<std::string> id_of(const ApiCall& call) {
    constexpr std::size_t kLongestId = 64;
    auto id = text_field(call.body, "id");
    if (id && (id->empty() || id->size() > kLongestId)) {
        return fail(ErrorKind::Syntax, "an id has 1 to 64 bytes");
    }
    return id;
}

ApiResult lead(NodeContext& node, ApiCall& call) {
    const auto from = leader_that_asks(node, call);
    if (!from) return std::unexpected(from.error());
    const auto id = id_of(call);
    const auto cursor = state::parse_cursor(text_field(call.body, "cursor").value_or(""));
    if (!id || !cursor) return fail(ErrorKind::Syntax, "id and cursor are texts");
    call.audit.object = node.config.node.name.text;
    return node.leadership->lead_for(*from, *id, *cursor);
}

ApiResult call_off(NodeContext& node, ApiCall& call) {
    const auto from = leader_that_asks(node, call);
    // Who leads by now knows that the one that asks does not.
    if (!from && !node.is_master()) return std::unexpected(from.error());
    const auto id = id_of(call);
    if (!id) return std::unexpected(id.error());
    call.audit.object = node.config.node.name.text;
    return node.leadership->answer_call_off(NodeName(call.caller.member), *id);
}

constexpr std::array kRoutes{
    ApiRoute{"GET", "/v1/standing", RunsOn::AnyNode, "", standing},
    ApiRoute{"GET", "/v1/cluster/masters", RunsOn::AnyNode, "", masters, Takes::AsksNodes},
    ApiRoute{"POST", "/v1/cluster/promote", RunsOn::AnyNode, "cluster promote", promote,
             Takes::Long},
    ApiRoute{"POST", "/v1/cluster/accept-loss", RunsOn::Master, "cluster accept-loss", accept_loss},
    ApiRoute{"POST", "/v1/lead", RunsOn::AnyNode, "cluster lead", lead, Takes::Long},
    ApiRoute{"POST", "/v1/lead/off", RunsOn::AnyNode, "cluster lead off", call_off, Takes::Long},
};

}  // namespace

std::span<const ApiRoute> leadership_routes() { return kRoutes; }

}  // namespace muster::admin
