#include "admin/delivery_seal.h"

#include <nlohmann/json.hpp>

#include "admin/followed_network.h"
#include "admin/node_context.h"
#include "base/password.h"
#include "cluster/credential_seal.h"
#include "cluster/entry_keys.h"
#include "state/json_value.h"

namespace muster::admin {
using nlohmann::json;

std::string follower_key(const std::string& network_secret, const NodeName& node,
                         const std::string& pin) {
    if (network_secret.size() != kSealKeyBytes) return {};
    const char nul = '\0';
    return hmac_sha256(network_secret, "delivery" + (nul + node.text) + nul + pin);
}

state::FeedView::Rewrite sealed_for(const SealSecret& network, const SealSecret& follower) {
    return [network, follower](std::string_view key, std::string& value) {
        if (!key.starts_with(cluster::kDeliveryPrefix)) return;
        json object = state::parse_json(value);
        if (!object.is_object()) object = json::object();
        const auto found = object.find("password");
        const auto plain = found != object.end() && found->is_string()
                               ? cluster::opened_password(found->get<std::string>(), network)
                               : Result<std::string>(std::string());
        const bool is_usable = plain && !plain->empty() && follower.bytes.size() == kSealKeyBytes;
        object["password"] = is_usable ? cluster::sealed_alike(*plain, follower) : "";
        value = state::json_line(object);
    };
}

state::Sight sight_of(const cluster::Node& member, state::Scope scope, bool asks_for_delivery) {
    const bool has_right = member.credentials && member.scope == cluster::NodeScope::Mirror;
    return {scope, has_right && asks_for_delivery};
}

state::FeedView view_for(const cluster::Node& member, state::Sight sight,
                         const NodeIdentity& identity) {
    if (!sight.delivery) return {sight, {}};
    const SealSecret follower =
        SealSecret::key(follower_key(identity.secret, member.name, member.pin));
    return {sight, sealed_for(identity.seal_secret(), follower)};
}

std::function<Result<std::string>(const cluster::DeliveryCredential&)> delivery_opener(
    const NodeContext& node) {
    return [&node](const cluster::DeliveryCredential& credential) {
        const std::size_t directory = credential.directory;
        return cluster::opened_password(
            credential.password,
            directory == 0 ? node.identity.seal_secret() : node.networks->seal_secret(directory));
    };
}

}  // namespace muster::admin
