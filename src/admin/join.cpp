#include "admin/join.h"

#include "admin/administrators.h"
#include "admin/files.h"
#include "admin/peers.h"
#include "base/base64.h"
#include "base/seal.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "net/http_client.h"
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

std::string text(const json& object, const char* field) {
    return text_field(object, field).value_or("");
}

Result<cluster::Node> wanted_node(const json& request, const std::string& pin) {
    if (!request.is_object()) return fail(ErrorKind::Syntax, "the body is no JSON object");
    const json entry{
        {"scope", text(request, "scope")}, {"cluster", text(request, "cluster")}, {"pin", pin}};
    const auto name = cluster::parse_plain_name(text(request, "name"));
    if (!name) return std::unexpected(name.error());
    return cluster::decode_node(*name, state::json_line(entry));
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
    if (text(value, "scope") != name(wanted.scope)) {
        return fail(ErrorKind::Refused, "the token is for scope " + text(value, "scope"));
    }
    if (!text(value, "name").empty() && text(value, "name") != wanted.name.text) {
        return fail(ErrorKind::Refused, "the token is for the node " + text(value, "name"));
    }
    return Permit{key, (*entry)->revision};
}

Result<Permit> permit_of(NodeContext& node, const json& request, const cluster::Node& wanted,
                         const IpAddress& from) {
    const std::string token = text(request, "token");
    if (!token.empty()) return permit_of_token(node, token, wanted);
    const std::string plain = text(request, "user") + ":" + text(request, "password");
    const auto rights = node.administrators->check("Basic " + base64_encode(plain), from);
    if (!rights) return std::unexpected(rights.error());
    if (!rights->may_write) return fail(ErrorKind::Refused, "this administrator may only read");
    return Permit{};
}

Result<> add_node(NodeContext& node, const cluster::Node& wanted, const Permit& permit) {
    const std::string key = cluster::node_key(wanted.name);
    const auto existing = node.directory->get(key);
    if (!existing) return std::unexpected(existing.error());
    state::Transaction transaction;
    transaction.expect(key, *existing ? (*existing)->revision : 0);
    if (*existing) {
        const auto known = cluster::decode_node(wanted.name.text, (*existing)->value);
        if (known && !known->revoked && known->pin != wanted.pin) {
            return fail(ErrorKind::Conflict, "there is a node " + wanted.name.text +
                                                 " with another key already: remove it first "
                                                 "(muster node remove) or choose another name");
        }
    }
    transaction.put(key, cluster::encode(wanted));
    if (!permit.key.empty()) {
        transaction.expect(permit.key, permit.revision).remove(permit.key);
    }
    const auto committed = node.directory->commit(transaction);
    if (!committed) return std::unexpected(committed.error());
    return {};
}

json welcome(const NodeContext& node, const cluster::Node& wanted) {
    json masters = json::array();
    masters.push_back({{"name", node.config.node.name.text},
                       {"cluster", node.config.cluster.advertise},
                       {"pin", node.identity.pin}});
    const bool sees_secrets = wanted.scope >= cluster::NodeScope::Frontend;
    return {{"cluster", node.identity.cluster_id},
            {"authority", node.identity.authority},
            {"secret", sees_secrets ? base64_encode(node.identity.secret) : ""},
            {"masters", masters}};
}

Result<> learn(NodeIdentity& identity, const json& answer, const JoinWish& wish) {
    try {
        identity.cluster_id = answer.at("cluster").get<std::string>();
        identity.authority = answer.at("authority").get<std::string>();
        const auto secret = base64_decode(answer.at("secret").get<std::string>(), kSealKeyBytes);
        if (!secret) return fail(ErrorKind::Corrupt, "the master's answer is damaged");
        identity.secret = *secret;
        for (const json& master : answer.at("masters")) {
            // The address that answered is proven; what the master thinks of itself may not be.
            identity.masters.push_back({NodeName(master.at("name").get<std::string>()), wish.master,
                                        master.at("pin").get<std::string>()});
        }
    } catch (const json::exception&) {
        return fail(ErrorKind::Corrupt, "the master's answer is damaged");
    }
    return {};
}

net::HttpTarget target_of(const NodeConfig& config, const JoinWish& wish,
                          const NodeIdentity& identity) {
    net::HttpTarget target;
    target.origin = "https://" + wish.master;
    target.source_address = config.cluster.source_address;
    target.chain = identity.certificate;
    target.key = identity.key;
    target.trust.kind =
        wish.master_pin.empty() ? net::TlsTrust::Kind::Nothing : net::TlsTrust::Kind::Pin;
    target.trust.pin = wish.master_pin;
    return target;
}

json request_of(const NodeConfig& config, const JoinWish& wish) {
    json request{{"name", config.node.name.text},
                 {"scope", name(scope_of(config.node.roles))},
                 {"cluster", config.cluster.advertise}};
    if (!wish.token.empty()) {
        request["token"] = wish.token;
    } else {
        request["user"] = wish.user;
        request["password"] = wish.password;
    }
    return request;
}

Result<> put_first_entries(state::Store& directory, const NodeConfig& config,
                           const NodeIdentity& identity, const std::string& administrator,
                           const std::string& password) {
    cluster::DirectoryWriter writer(directory);
    cluster::Node self;
    self.name = config.node.name;
    self.scope = scope_of(config.node.roles);
    self.master = true;
    self.cluster = config.cluster.advertise;
    self.pin = identity.pin;
    if (auto put = writer.put(self); !put) return put;
    cluster::Setting authority;
    authority.name = "authority";
    authority.value = state::json_line(json(identity.authority));
    if (auto put = writer.put(authority); !put) return put;
    if (administrator.empty()) return {};
    cluster::Administrator first;
    first.name = administrator;
    auto key = cluster::to_password_key(password);
    if (!key) return std::unexpected(key.error());
    first.keys = {*key};
    return writer.put(first);
}

}  // namespace

JoinToken make_token(const std::string& node, const std::string& scope, std::int64_t ends_at) {
    const std::string secret = random_name(kTokenCharacters);
    return {secret, token_key(secret), {{"name", node}, {"scope", scope}, {"ends", ends_at}}};
}

Result<json> accept_node(NodeContext& node, const json& request, const std::string& pin,
                         const IpAddress& from) {
    if (!node.is_master()) return fail(ErrorKind::Refused, "not a master: join at the master");
    if (pin.empty()) return fail(ErrorKind::Refused, "the node showed no key");
    const auto wanted = wanted_node(request, pin);
    if (!wanted) return std::unexpected(wanted.error());
    const auto permit = permit_of(node, request, *wanted, from);
    if (!permit) return std::unexpected(permit.error());
    if (auto added = add_node(node, *wanted, *permit); !added) {
        return std::unexpected(added.error());
    }
    return welcome(node, *wanted);
}

Result<std::string> peer_pin_at(const std::string& address) {
    net::HttpTarget target;
    target.origin = "https://" + address;
    target.trust.kind = net::TlsTrust::Kind::Nothing;
    net::HttpClient client(std::move(target));
    const auto reply = client.call({"GET", "/"});
    if (!reply) return std::unexpected(reply.error());
    if (client.peer_pin().empty()) return fail(ErrorKind::Unavailable, address + " has no key");
    return client.peer_pin();
}

Result<> join_cluster(const NodeConfig& config, const JoinWish& wish) {
    if (has_identity(config.node.state_dir)) {
        return fail(ErrorKind::Conflict, config.node.state_dir + " belongs to a cluster already");
    }
    NodeIdentity identity = new_identity(config.node.name);
    // A token works once: what can go wrong here must do so before it is shown.
    if (auto made = make_folder(config.node.state_dir, 0700); !made) return made;
    auto kept = write_file(config.node.state_dir + "/node.key", identity.key, 0600);
    if (!kept) return kept;
    net::HttpClient client(target_of(config, wish, identity));
    net::HttpCall call{"POST", "/v1/join"};
    call.body = state::json_line(request_of(config, wish));
    const auto reply = client.call(call);
    if (!reply) return std::unexpected(reply.error());
    const json answer = state::parse_json(reply->body);
    if (reply->status != 200) {
        const std::string why = answer.is_object() ? text(answer, "error") : reply->body;
        return fail(ErrorKind::Refused, "the master refused: " + why);
    }
    if (auto learnt = learn(identity, answer, wish); !learnt) return learnt;
    return save_identity(config.node.state_dir, identity);
}

Result<> init_cluster(const NodeConfig& config, const std::string& administrator,
                      const std::string& password) {
    const std::string& folder = config.node.state_dir;
    if (!config.node.roles.master) {
        return fail(ErrorKind::Refused, "a cluster begins on a node with the role master");
    }
    if (has_identity(folder)) {
        return fail(ErrorKind::Conflict, folder + " belongs to a cluster already");
    }
    if (auto made = make_folder(folder, 0700); !made) return made;
    NodeIdentity identity = new_identity(config.node.name);
    if (auto founded = found_cluster(identity); !founded) return founded;
    auto stores = state::open_stores(folder);
    if (!stores) return std::unexpected(stores.error());
    if (auto begun = stores->directory->begin_term(); !begun) return begun;
    auto put = put_first_entries(*stores->directory, config, identity, administrator, password);
    if (!put) return put;
    return save_identity(folder, identity);
}

}  // namespace muster::admin
