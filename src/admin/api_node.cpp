// The state of nodes and of the whole: status, alarms, reload, draining.

#include <array>

#include "admin/administrators.h"
#include "admin/api.h"
#include "admin/fan_out.h"
#include "admin/followed_network.h"
#include "admin/node_alarms.h"
#include "admin/peer_answers.h"
#include "admin/presence.h"
#include "admin/queue_report.h"
#include "base/log.h"
#include "cluster/entry_keys.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr CallBounds kStatusBounds{std::chrono::milliseconds(3'000), std::size_t{4} << 20};

json roles_of(const Roles& roles) {
    json list = json::array();
    if (roles.master) list.push_back("master");
    if (roles.frontend) list.push_back("frontend");
    if (roles.backend) list.push_back("backend");
    return list;
}

json replica_of(const NodeContext& node) {
    json replica{{"filled", node.replica->filled()}};
    if (const auto age = node.replica->age()) replica["age_ms"] = age->count();
    if (node.is_master()) {
        const state::Cursor head = node.directory->head();
        replica["phase"] = "master";
        replica["cursor"] = format(head);
        replica["revision"] = head.revision;
        return replica;
    }
    const state::FollowerStatus status = node.follower->status();
    replica["phase"] = name(status.phase);
    replica["source"] = status.source;
    replica["since"] = since_1970(status.since);
    // Whoever shows it may have another clock.
    const auto lasts = std::chrono::system_clock::now() - status.since;
    replica["for_ms"] = std::chrono::duration_cast<std::chrono::milliseconds>(lasts).count();
    replica["entries"] = status.entries;
    if (!status.cursor.empty()) {
        replica["cursor"] = format(status.cursor);
        replica["revision"] = status.cursor.revision;
    }
    if (const auto lag = status.lag_in(node.replica->age())) replica["lag_ms"] = lag->count();
    if (!status.trouble.empty()) replica["trouble"] = status.trouble;
    return replica;
}

json this_node(const NodeContext& node) {
    const auto up = std::chrono::steady_clock::now() - node.started;
    json status{{"name", node.config.node.name.text},
                {"roles", roles_of(node.config.node.roles)},
                {"version", MUSTER_VERSION},
                {"uptime", std::chrono::duration_cast<std::chrono::seconds>(up).count()},
                {"draining", node.draining.load()},
                {"leads", node.is_master()},
                {"replica", replica_of(node)},
                {"sessions", node.sessions == nullptr ? 0 : node.sessions->size()},
                {"alarms", to_json(node_alarms(node))}};
    if (node.is_master()) {
        status["seen"] = node.presence->shown(std::chrono::system_clock::now());
    }
    if (node.networks != nullptr) status["networks"] = node.networks->status();
    if (node.queue != nullptr) status["queue"] = queue_counts(*node.queue);
    if (node.hooks.frontend_status) status["frontend"] = node.hooks.frontend_status();
    if (node.hooks.backend_status) status["backend"] = node.hooks.backend_status();
    return status;
}

json unreachable_node(const PeerAnswer& one) {
    return {
        {"name", one.peer.name.text}, {"reachable", false}, {"error", one.answer.error().detail}};
}

/// Nodes that take no calls, as the master hears of them: followers of other networks above all.
json followers_of(const cluster::Topology& topology, const json& nodes) {
    json seen = json::object();
    for (const json& one : nodes) {
        if (one.contains("seen")) seen = one["seen"];
    }
    json list = json::array();
    for (const cluster::Node& node : topology.parts().nodes) {
        if (!node.cluster.empty() || node.revoked) continue;
        if (std::ranges::any_of(
                nodes, [&](const json& one) { return one.value("name", "") == node.name.text; })) {
            continue;
        }
        json row = seen.value(node.name.text, json::object());
        row["name"] = node.name.text;
        row["scope"] = cluster::name(node.scope);
        list.push_back(std::move(row));
    }
    return list;
}

ApiResult status(NodeContext& node, ApiCall& call) {
    json self = this_node(node);
    self["reachable"] = true;
    const bool is_alone = is_about_this_node(call);
    if (is_alone && !call.caller.named_this_node) {
        self["servers"] = servers_here(node);
        return self;
    }
    const auto topology = node.topology->current();
    json alarms = json::array();
    json nodes = json::array();
    nodes.push_back(self);
    std::vector<PeerAnswer> answers;
    if (!is_alone) {
        answers = ask_all(*node.peers, {"GET", "/v1/status?here=1"}, kStatusBounds, tells_status);
    }
    const json servers = is_alone ? servers_here(node) : observed_servers(node, answers);
    for (PeerAnswer& one : answers) {
        if (!one.answer) {
            nodes.push_back(unreachable_node(one));
            continue;
        }
        one.answer->erase("servers");
        (*one.answer)["name"] = one.peer.name.text;
        nodes.push_back(std::move(*one.answer));
    }
    for (json& one : nodes) {
        const std::string name = one.value("name", "");
        if (!one.value("reachable", false)) {
            alarms.push_back({{"node", node.config.node.name.text},
                              {"about", "node " + name},
                              {"text", "cannot be reached"},
                              {"severe", true}});
        }
        if (one.contains("alarms")) {
            for (json alarm : one["alarms"]) {
                alarm["node"] = name;
                alarms.push_back(std::move(alarm));
            }
            one.erase("alarms");
        }
        const cluster::Node* entry = topology->node(name);
        if (entry != nullptr) one["admin"] = cluster::name(entry->admin);
    }
    return json{{"node", node.config.node.name.text},
                {"cluster", node.identity.cluster_id},
                {"nodes", nodes},
                {"followers", is_alone ? json::array() : followers_of(*topology, nodes)},
                {"servers", servers},
                {"domains", topology->parts().domains.size()},
                {"alarms", alarms}};
}

ApiResult list_networks(NodeContext& node, ApiCall&) {
    return json{{"networks", node.networks == nullptr ? json::array() : node.networks->status()}};
}

ApiResult reload(NodeContext& node, ApiCall&) {
    if (!node.hooks.reload) return fail(ErrorKind::Refused, "this node cannot be reloaded");
    auto answer = node.hooks.reload();
    if (!answer) return answer;
    (*answer)["reloaded"] = node.config.node.name.text;
    return answer;
}

ApiResult verify_administrator(NodeContext& node, ApiCall& call) {
    if (!call.caller.is_node) return fail(ErrorKind::Refused, "for members of the cluster");
    const auto authorization = text_field(call.body, "authorization");
    if (!authorization) return std::unexpected(authorization.error());
    const auto client = IpAddress::parse(text_field(call.body, "client").value_or(""));
    const auto rights = node.administrators->check(
        *authorization, client ? *client : call.caller.address, call.caller.member);
    if (!rights) return std::unexpected(rights.error());
    return json{{"name", rights->name}, {"may_write", rights->may_write}};
}

constexpr std::array kRoutes{
    ApiRoute{"GET", "/v1/status", RunsOn::AnyNode, "", status, Takes::AsksNodes},
    ApiRoute{"GET", "/v1/networks", RunsOn::AnyNode, "", list_networks},
    ApiRoute{"POST", "/v1/reload", RunsOn::AnyNode, "node reload", reload},
    ApiRoute{"POST", "/v1/administrators/verify", RunsOn::AnyNode, "", verify_administrator,
             Takes::Judges},
};

}  // namespace

std::span<const ApiRoute> node_routes() { return kRoutes; }

}  // namespace muster::admin
