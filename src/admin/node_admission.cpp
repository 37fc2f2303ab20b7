#include "admin/node_admission.h"

#include "admin/delivery_seal.h"
#include "admin/json_fields.h"
#include "admin/peers.h"
#include "base/base64.h"
#include "base/seal.h"
#include "cluster/directory_writer.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::string_view kTokenPrefix = "token/";
constexpr std::size_t kTokenCharacters = 32;  // 160 bits

std::string token_key(const std::string& text) {
    return std::string(kTokenPrefix) + hex_encode(sha256(text));
}

std::int64_t now_seconds() {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

Result<cluster::Node> wanted_node(const json& request, const JoinCaller& caller) {
    if (!request.is_object()) return fail(ErrorKind::Syntax, "the body is no JSON object");
    json entry{{"scope", text(request, "scope")},
               {"cluster", text(request, "cluster")},
               {"pin", caller.pin}};
    // A node with the role master may be promoted.
    if (request.contains("eligible") && request["eligible"] == true) {
        if (text(request, "scope") != name(cluster::NodeScope::Backend)) {
            return fail(ErrorKind::Refused, "a node that may lead has the scope backend");
        }
        entry["eligible"] = true;
    }
    const auto name = cluster::parse_plain_name(text(request, "name"));
    if (!name) return std::unexpected(name.error());
    auto wanted = cluster::decode_node(*name, state::json_line(entry));
    // Nobody of this cluster calls a follower.
    if (wanted && wanted->scope <= cluster::NodeScope::Relay) wanted->cluster.clear();
    // A member is told the cluster's secret.
    if (wanted && caller.in_clear &&
        (wanted->scope > cluster::NodeScope::Relay || wanted->eligible)) {
        return fail(ErrorKind::Refused,
                    "without encryption only followers of scope relay or mirror may join");
    }
    return wanted;
}

/// What the token's entry allows; its revision is part of the transaction that uses it up.
struct Permit {
    std::string key;  ///< empty: an administrator's password, nothing to use up
    Revision revision = 0;
};

Result<Permit> permit_of_token(NodeContext& node, const std::string& token,
                               const cluster::Node& wanted) {
    const auto refusal = fail(ErrorKind::Refused, "the token is unknown, used or too old");
    const std::string key = token_key(token);
    const auto entry = node.directory->get(key);
    if (!entry) return std::unexpected(entry.error());
    if (!*entry) return refusal;
    const json value = state::parse_json((*entry)->value);
    if (!value.is_object() || value.value("ends", std::int64_t{0}) < now_seconds()) return refusal;
    if (text(value, "scope") != (wanted.eligible ? "master" : name(wanted.scope))) {
        return fail(ErrorKind::Refused, "the token is for scope " + text(value, "scope"));
    }
    if (!text(value, "name").empty() && text(value, "name") != wanted.name.text) {
        return fail(ErrorKind::Refused, "the token is for the node " + text(value, "name"));
    }
    return Permit{key, (*entry)->revision};
}

/// Whether the key that `wanted` has may come to be known by its name. By the store: the topology
/// follows it a moment later, and lacks entries that cannot be decoded.
Result<> check_key(NodeContext& node, const cluster::Node& wanted) {
    const auto check = [&wanted](const state::Entry& entry) -> Result<bool> {
        const json other = state::parse_json(entry.value);
        if (!other.is_object() || text(other, "pin") != wanted.pin) return true;
        const std::string name(cluster::split_key(entry.key).name);
        if (other.contains("revoked") && other["revoked"] == true) {
            return fail(ErrorKind::Refused, "this node's key was revoked as that of " + name +
                                                ": muster node set " + name +
                                                " revoked=false on the master, or begin anew with "
                                                "an empty state_dir");
        }
        if (name == wanted.name.text) return true;
        return fail(ErrorKind::Conflict, "this node's key is known as that of " + name +
                                             " already: muster node remove " + name +
                                             " on the master");
    };
    return cluster::for_each_entry(*node.directory, cluster::kNodePrefix, check);
}

/// Whether what stands under that name may become `wanted`.
Result<> check_known(const cluster::Node& known, const cluster::Node& wanted) {
    if (known.revoked) return {};
    const std::string& name = wanted.name.text;
    if (known.pin != wanted.pin) {
        return fail(ErrorKind::Conflict,
                    "there is a node " + name +
                        " with another key already: if it is this one and its state folder was "
                        "lost, remove it first (muster node remove " +
                        name + " on the master), else choose another name");
    }
    if (known.scope > cluster::NodeScope::Relay && wanted.scope <= cluster::NodeScope::Relay) {
        return fail(ErrorKind::Conflict, name + " is a member of this cluster, and cannot be its " +
                                             std::string(cluster::name(wanted.scope)) + ", too");
    }
    return {};
}

Result<> try_to_add(NodeContext& node, const cluster::Node& wanted, const Permit& permit) {
    // Of two that come with one key under two names, one fails.
    state::Transaction transaction;
    transaction.expect_head(node.directory->head().revision);
    if (auto fine = check_key(node, wanted); !fine) return fine;
    const std::string key = cluster::node_key(wanted.name);
    const auto existing = node.directory->get(key);
    if (!existing) return std::unexpected(existing.error());
    cluster::Node entry = wanted;
    if (*existing) {
        const auto known = cluster::decode_node(wanted.name.text, (*existing)->value);
        if (!known) {
            return fail(ErrorKind::Conflict, "the entry of node " + wanted.name.text +
                                                 " cannot be understood (" + known.error().detail +
                                                 "): muster node remove " + wanted.name.text +
                                                 " on the master, if it is not needed");
        }
        if (auto fine = check_known(*known, wanted); !fine) return fine;
        if (!known->revoked) {  // it comes again
            entry = *known;
            entry.scope = wanted.scope;
            if (wanted.scope != cluster::NodeScope::Mirror) entry.credentials = false;
            entry.eligible = wanted.eligible;
            entry.cluster = wanted.cluster;
        }
    }
    transaction.put(key, cluster::encode(entry));
    if (!permit.key.empty()) {
        transaction.expect(permit.key, permit.revision).remove(permit.key);
    }
    const auto committed = node.directory->commit(transaction);
    if (!committed) return std::unexpected(committed.error());
    return {};
}

Result<> add_node(NodeContext& node, const cluster::Node& wanted, const Permit& permit) {
    constexpr int kTries = 100;  // any other change in between is one
    for (int i = 0; i < kTries; ++i) {
        const Revision head = node.directory->head().revision;
        auto added = try_to_add(node, wanted, permit);
        const bool was_overtaken = !added && added.error().kind == ErrorKind::Conflict &&
                                   node.directory->head().revision != head;
        if (!was_overtaken) return added;
    }
    return fail(ErrorKind::Unavailable, "others keep changing the state: try again");
}

json welcome(const NodeContext& node, const cluster::Node& wanted) {
    json masters = json::array();
    masters.push_back({{"name", node.config.node.name.text},
                       {"cluster", node.config.cluster.advertise},
                       {"pin", node.identity.pin}});
    for (const PeerAddress& other : node.peers->masters()) {
        masters.push_back(
            {{"name", other.name.text}, {"cluster", other.cluster}, {"pin", other.pin}});
    }
    const bool sees_secrets = wanted.scope >= cluster::NodeScope::Frontend;
    // A mirror's own: it opens nothing but what is sealed for it, if it ever has that right.
    const std::string secret = sees_secrets ? node.identity.secret
                               : wanted.scope == cluster::NodeScope::Mirror
                                   ? follower_key(node.identity.secret, wanted.name, wanted.pin)
                                   : std::string();
    json answer{{"cluster", node.identity.cluster_id},
                {"authority", node.identity.authority},
                {"secret", base64_encode(secret)},
                {"masters", masters}};
    if (wanted.eligible && node.identity.authority_key) {
        answer["authority_key"] = *node.identity.authority_key;
    }
    return answer;
}

}  // namespace

JoinToken make_token(const std::string& node, const std::string& scope, std::int64_t ends_at) {
    const std::string secret = random_name(kTokenCharacters);
    return {secret, token_key(secret), {{"name", node}, {"scope", scope}, {"ends", ends_at}}};
}

Result<> check_wish(const json& request, const JoinCaller& caller) {
    const auto wanted = wanted_node(request, caller);
    return wanted ? Result<>() : std::unexpected(wanted.error());
}

Result<json> admit_node(NodeContext& node, const json& request, const JoinCaller& caller) {
    const auto wanted = wanted_node(request, caller);
    if (!wanted) return std::unexpected(wanted.error());
    if (auto added = add_node(node, *wanted, {}); !added) return std::unexpected(added.error());
    return welcome(node, *wanted);
}

Result<json> accept_node(NodeContext& node, const json& request, const JoinCaller& caller) {
    const auto wanted = wanted_node(request, caller);
    if (!wanted) return std::unexpected(wanted.error());
    if (request.contains("password")) {
        return fail(ErrorKind::Refused,
                    "passwords are proven and not sent: the program of this node is too old");
    }
    if (caller.in_clear) {
        return fail(ErrorKind::Refused,
                    "without encryption a token can be read on the way and used by others first: "
                    "join with an administrator's name and password, which are not sent");
    }
    const auto permit = permit_of_token(node, text(request, "token"), *wanted);
    if (!permit) return std::unexpected(permit.error());
    if (auto added = add_node(node, *wanted, *permit); !added) {
        return std::unexpected(added.error());
    }
    return welcome(node, *wanted);
}

}  // namespace muster::admin
