// Secrets that all front ends have in common, and the keys that sign mail. No key is ever shown.
#include <array>

#include "admin/common_secrets.h"
#include "admin/presence.h"
#include "admin/secret_keeper.h"
#include "cluster/credential_seal.h"
#include "cluster/directory_writer.h"
#include "cluster/entry_keys.h"
#include "net/pki.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using std::chrono::sys_seconds;

sys_seconds now() { return std::chrono::floor<seconds>(std::chrono::system_clock::now()); }

json id_of(const std::optional<cluster::SharedKey>& key) {
    return key ? json(key->id) : json(nullptr);
}

json shown(const cluster::SharedSecret& secret) {
    const sys_seconds rotated{seconds(secret.rotated)};
    return {{"name", secret.name},
            {"current", secret.current.id},
            {"previous", id_of(secret.previous)},
            {"next", id_of(secret.next)},
            {"rotated", secret.rotated},
            {"rotated_at", in_utc(rotated)},
            {"age_hours", std::chrono::floor<std::chrono::hours>(now() - rotated).count()}};
}

json shown(const cluster::DkimKey& key) {
    return {{"name", key.domain.text + '/' + key.selector},
            {"domain", key.domain.text},
            {"selector", key.selector},
            {"record", key.record},
            {"dns", dns_line(key)}};
}

/// All entries of a kind, as the replica has them now.
template <auto Decode>
ApiResult listed(NodeContext& node, std::string_view prefix, const char* name) {
    constexpr std::size_t kMost = 10'000;
    state::ReplicaReader reader(node.replica);
    const auto rows = reader.range(std::string(prefix), state::prefix_end(prefix), kMost);
    if (!rows) return std::unexpected(rows.error());
    json list = json::array();
    for (const state::Entry& entry : *rows) {
        const auto one = Decode(std::string_view(entry.key).substr(prefix.size()), entry.value);
        if (one) list.push_back(shown(*one));
    }
    return json{{name, std::move(list)}};
}

ApiResult list_secrets(NodeContext& node, ApiCall&) {
    return listed<cluster::decode_shared_secret>(node, cluster::kSecretPrefix, "secrets");
}

ApiResult rotate(NodeContext& node, ApiCall& call) {
    const json all = call.body.is_object() ? call.body.value("all", json(false)) : json(false);
    if (!all.is_boolean()) return fail(ErrorKind::Syntax, "\"all\" is true or false");
    const auto secret = rotate_secret(*node.directory, call.names[0], all.get<bool>(),
                                      node.identity.seal_secret(), now());
    if (!secret) return std::unexpected(secret.error());
    call.audit.object = call.names[0];
    call.audit.after = {{"current", secret->current.id}, {"all", all}};
    return shown(*secret);
}

ApiResult list_dkim(NodeContext& node, ApiCall&) {
    return listed<cluster::decode_dkim_key>(node, cluster::kDkimPrefix, "dkim");
}

Result<std::string> private_key_from(const json& body) {
    const auto given = text_field(body, "key");
    if (!given) return std::unexpected(given.error());
    const auto algorithm = text_field(body, "algorithm");
    if (!algorithm) return std::unexpected(algorithm.error());
    if (!given->empty()) {
        auto read = net::read_signing_key(*given);
        if (!read) return std::unexpected(read.error());
        return std::move(read->private_key);
    }
    if (algorithm->empty() || *algorithm == "rsa") {
        return net::make_signing_key(net::SigningAlgorithm::Rsa);
    }
    if (*algorithm == "ed25519") return net::make_signing_key(net::SigningAlgorithm::Ed25519);
    return fail(ErrorKind::Syntax, "algorithm: rsa or ed25519");
}

Result<std::string> dkim_name(const ApiCall& call) {
    return cluster::parse_dkim_name(call.names[0] + '/' + call.names[1]);
}

ApiResult add_dkim(NodeContext& node, ApiCall& call) {
    const auto name = dkim_name(call);
    if (!name) return std::unexpected(name.error());
    const SealSecret seal = node.identity.seal_secret();
    if (seal.bytes.size() != kSealKeyBytes) {
        return fail(ErrorKind::Refused, "this node has not got the cluster's secret");
    }
    const auto pem = private_key_from(call.body);
    if (!pem) return std::unexpected(pem.error());
    const auto record = dkim_record(*pem);
    if (!record) return std::unexpected(record.error());
    const json object{{"key", cluster::sealed_password(*pem, seal)}, {"record", *record}};
    const auto key = cluster::decode_dkim_key(*name, state::json_line(object));
    if (!key) return std::unexpected(key.error());
    const std::string where = std::string(cluster::kDkimPrefix) + *name;
    state::Transaction transaction;
    const auto done =
        node.directory->commit(transaction.expect(where, 0).put(where, cluster::encode(*key)));
    if (!done && done.error().kind == ErrorKind::Conflict) {
        return fail(ErrorKind::Conflict,
                    *name + " exists already: take another selector, or remove it first");
    }
    if (!done) return std::unexpected(done.error());
    call.audit.object = *name;
    call.audit.after = {{"record", *record}};
    return shown(*key);
}

ApiResult remove_dkim(NodeContext& node, ApiCall& call) {
    const auto name = dkim_name(call);
    if (!name) return std::unexpected(name.error());
    cluster::DirectoryWriter writer(*node.directory);
    if (auto removed = writer.delete_entry(std::string(cluster::kDkimPrefix) + *name); !removed) {
        return std::unexpected(removed.error());
    }
    call.audit.object = *name;
    return json{{"removed", *name}};
}

constexpr std::array kRoutes{
    ApiRoute{"GET", "/v1/secrets", RunsOn::AnyNode, "", list_secrets},
    ApiRoute{"POST", "/v1/secrets/{}/rotate", RunsOn::Master, "secret rotate", rotate},
    ApiRoute{"GET", "/v1/dkim", RunsOn::AnyNode, "", list_dkim},
    ApiRoute{"PUT", "/v1/dkim/{}/{}", RunsOn::Master, "dkim add", add_dkim},
    ApiRoute{"DELETE", "/v1/dkim/{}/{}", RunsOn::Master, "dkim remove", remove_dkim},
};

}  // namespace

std::span<const ApiRoute> secret_routes() { return kRoutes; }

}  // namespace muster::admin
