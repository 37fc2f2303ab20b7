#include "admin/server_proofs.h"

#include <algorithm>
#include <iterator>

#include "admin/fan_out.h"
#include "admin/peer_answers.h"
#include "net/run_on.h"

namespace muster::admin {
namespace {

using frontend::Introduced;
using frontend::Proof;
using frontend::Proven;
using nlohmann::json;

constexpr CallBounds kProbeBounds{std::chrono::milliseconds(5'000)};
constexpr CallBounds kCheckBounds{std::chrono::milliseconds(180'000)};

bool tells_probe(const json& answer) {
    return text_field(answer, "client") && text_field(answer, "session");
}

/// What the node beside the server heard from it about that login.
Result<json> ask_node(NodeContext& node, const NodeName& name, const std::string& login) {
    if (name == node.config.node.name) {
        if (!node.hooks.probe) return fail(ErrorKind::Refused, "it is no back end");
        return node.hooks.probe(login);
    }
    const auto peer = node.peers->find(name);
    if (!peer) return fail(ErrorKind::Unavailable, "it is not known");
    const net::HttpCall call{"GET", "/v1/probes/" + net::percent_encoded(login)};
    return ask(*node.peers, *peer, call, kProbeBounds, tells_probe);
}

std::vector<Proof> introduction_proofs(NodeContext& node, const cluster::Server& server,
                                       const Introduced& introduced) {
    const auto cannot = [&](const std::string& why) {
        return frontend::unknown_introduction(introduced.service, Proven::Cannot, why);
    };
    if (server.introduce == cluster::Introduce::None) return cannot("the entry introduces nobody");
    if (server.node.empty()) return cannot("no node stands beside this server");
    const auto seen = ask_node(node, server.node, introduced.login);
    if (!seen) {
        return frontend::unknown_introduction(
            introduced.service, Proven::No,
            "not provable: node " + server.node.text + ": " + seen.error().detail);
    }
    return frontend::judge_introduction(introduced, seen->value("client", ""),
                                        seen->value("session", ""));
}

json to_json(const Proof& proof) {
    return {{"service", cluster::name(proof.service)},
            {"step", proof.step},
            {"result", frontend::name(proof.proven)},
            {"ok", proof.proven == Proven::Yes},
            {"detail", proof.detail}};
}

json to_json(const std::vector<frontend::Offered>& offers) {
    json object = json::object();
    for (const frontend::Offered& one : offers) {
        object[std::string(cluster::name(one.service))] = {
            {"offered", one.items}, {"gained", one.gained}, {"lost", one.lost}};
    }
    return object;
}

}  // namespace

json prove_server(NodeContext& node, frontend::ServerCheck& check, const cluster::Server& server) {
    auto report = net::run_on<frontend::ServerReport>(
        *node.control, [&check, name = server.name] { return check.run(name); });
    for (const Introduced& introduced : report.introduced) {
        std::ranges::move(introduction_proofs(node, server, introduced),
                          std::back_inserter(report.proofs));
    }
    json list = json::array();
    for (const cluster::Service service : cluster::kServices) {
        for (const Proof& proof : report.proofs) {
            if (proof.service == service) list.push_back(to_json(proof));
        }
    }
    return {{"proofs", std::move(list)}, {"offers", to_json(report.offered)}};
}

ApiResult check_elsewhere(NodeContext& node, const ApiCall& call) {
    ApiResult refusal = fail(ErrorKind::Unavailable, "no front end is known that could check it");
    if (call.caller.is_node) return refusal;
    const auto topology = node.topology->current();
    const auto is_front_end = [&](const PeerAddress& peer) {
        const cluster::Node* entry = topology->node(peer.name.view());
        return entry != nullptr && entry->scope == cluster::NodeScope::Frontend;
    };
    auto peers = node.peers->others();
    std::ranges::partition(peers, is_front_end);
    for (const PeerAddress& peer : peers) {
        auto answer = ask(*node.peers, peer, {"POST", call.path}, kCheckBounds, tells_proofs);
        if (answer) return answer;
        if (&peer == peers.data()) refusal = std::move(answer);  // front ends come first
    }
    return refusal;
}

}  // namespace muster::admin
