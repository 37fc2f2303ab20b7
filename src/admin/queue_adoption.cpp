#include "admin/queue_adoption.h"

#include <thread>

#include "admin/fan_out.h"
#include "queue/spool_owner.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kReplicaPatience{10'000};
constexpr std::chrono::milliseconds kLook{20};

bool is_member(const NodeContext& node, const NodeName& name) {
    const auto topology = node.topology->current();
    const cluster::Node* const entry = topology->node(name.text);
    return entry != nullptr && !entry->revoked;
}

Result<> revoke_member(NodeContext& node, const NodeName& name, const Caller& caller) {
    ApiCall call;
    call.method = "PATCH";
    call.path = "/v1/nodes/" + net::percent_encoded(name.text);
    call.body = {{"revoked", true}};
    call.caller = caller;
    const net::HttpResponse response = run_call(node, std::move(call));
    if (response.status >= 200 && response.status < 300) return {};
    const json body = state::parse_json(response.body);
    const std::string why = body.is_object() ? text_field(body, "error").value_or("") : "";
    return fail(ErrorKind::Refused, "node " + name.text +
                                        " could not be revoked, nothing was "
                                        "taken: " +
                                        why);
}

/// From then on this node takes nothing from the dead one, either.
Result<> wait_until_revoked(const NodeContext& node, const NodeName& name) {
    const auto until = std::chrono::steady_clock::now() + kReplicaPatience;
    while (is_member(node, name)) {
        if (node.stopping || std::chrono::steady_clock::now() > until) {
            return fail(ErrorKind::Unavailable, "node " + name.text +
                                                    " is revoked, but this node has not heard of "
                                                    "it yet: try again");
        }
        std::this_thread::sleep_for(kLook);
    }
    return {};
}

}  // namespace

Result<AdoptionCandidate> adoption_candidate(NodeContext& node, const std::string& dir) {
    if (!dir.starts_with('/')) return fail(ErrorKind::Syntax, "dir must be an absolute path");
    const auto owner = queue::read_owner(dir);
    if (!owner) {
        if (owner.error().kind != ErrorKind::NotFound) return std::unexpected(owner.error());
        return fail(ErrorKind::NotFound, "there is no queue in " + dir + " (no file OWNER)");
    }
    if (auto lock = queue::lock_spool(dir); !lock) return std::unexpected(lock.error());
    AdoptionCandidate candidate{.dir = dir, .owner = *owner};
    candidate.ours = owner->node == node.config.node.name;
    const auto topology = node.topology->current();
    const cluster::Node* const entry = topology->node(owner->node.text);
    candidate.member = entry != nullptr;
    candidate.revoked = entry != nullptr && entry->revoked;
    return candidate;
}

json shown(const AdoptionCandidate& candidate) {
    return {{"dir", candidate.dir},         {"owner", candidate.owner.node.text},
            {"ours", candidate.ours},       {"member", candidate.member},
            {"revoked", candidate.revoked}, {"generation", candidate.owner.generation}};
}

Result<queue::AdoptReport> adopt_queue(
    NodeContext& node, const std::string& dir, bool revoke, const Caller& caller,
    const std::function<void(const queue::AdoptReport&)>& progress) {
    const auto candidate = adoption_candidate(node, dir);
    if (!candidate) return std::unexpected(candidate.error());
    const NodeName& owner = candidate->owner.node;
    if (!candidate->ours && candidate->member && !candidate->revoked) {
        if (!revoke) {
            return fail(ErrorKind::Conflict,
                        "the queue belongs to node " + owner.text +
                            ", which is a member of this cluster: it must be revoked with it");
        }
        if (auto revoked = revoke_member(node, owner, caller); !revoked) {
            return std::unexpected(revoked.error());
        }
        if (auto known = wait_until_revoked(node, owner); !known) {
            return std::unexpected(known.error());
        }
    }
    return node.queue->adopt(dir, progress);
}

}  // namespace muster::admin
