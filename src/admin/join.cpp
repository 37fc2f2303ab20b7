#include "admin/join.h"

#include <algorithm>

#include "admin/files.h"
#include "admin/join_proof.h"
#include "admin/json_fields.h"
#include "admin/password_file.h"
#include "admin/peers.h"
#include "admin/system_user.h"
#include "base/base64.h"
#include "base/log.h"
#include "base/seal.h"
#include "cluster/directory_writer.h"
#include "net/http_client.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kNonceCharacters = 32;  // 160 bits
/// A node that is to stop waits no longer for a call that runs.
constexpr std::chrono::seconds kJoinPatience{15};

Result<> learn(NodeIdentity& identity, const json& answer, const JoinWish& wish) {
    try {
        identity.cluster_id = answer.at("cluster").get<std::string>();
        identity.authority = answer.at("authority").get<std::string>();
        const auto secret = base64_decode(answer.at("secret").get<std::string>(), kSealKeyBytes);
        if (!secret) return fail(ErrorKind::Corrupt, "the master's answer is damaged");
        identity.secret = *secret;
        if (answer.contains("authority_key")) {
            identity.authority_key = answer["authority_key"].get<std::string>();
        }
        for (const json& master : answer.at("masters")) {
            // The address that answered is proven; what the master thinks of itself may not be.
            const bool answers = identity.masters.empty();
            identity.masters.push_back(
                {NodeName(master.at("name").get<std::string>()),
                 answers ? wish.master : master.at("cluster").get<std::string>(),
                 master.at("pin").get<std::string>()});
        }
    } catch (const json::exception&) {
        return fail(ErrorKind::Corrupt, "the master's answer is damaged");
    }
    return {};
}

net::HttpTarget target_of(const JoinWish& wish, const NodeIdentity& identity) {
    net::HttpTarget target;
    target.origin = "https://" + wish.master;
    target.source_address = wish.source_address;
    target.encryption = wish.encryption;
    target.may_be_clear = is_private_address;
    target.inactivity = target.total_time = kJoinPatience;
    target.chain = identity.certificate;
    target.key = identity.key;
    target.trust.kind =
        wish.master_pin.empty() ? net::TlsTrust::Kind::Nothing : net::TlsTrust::Kind::Pin;
    target.trust.pin = wish.master_pin;
    return target;
}

json request_of(const JoinWish& wish) {
    json request{{"name", wish.name}, {"scope", wish.scope}, {"cluster", wish.cluster}};
    if (wish.may_lead) request["eligible"] = true;
    return request;
}

Result<json> post(net::HttpClient& client, const std::string& path, const json& body) {
    net::HttpCall call{"POST", path};
    call.body = state::json_line(body);
    const auto reply = client.call(call);
    if (!reply) return std::unexpected(reply.error());
    json answer = state::parse_json(reply->body);
    if (reply->status == 200 && answer.is_object()) return answer;
    const std::string why = answer.is_object() ? text(answer, "error") : reply->body;
    const bool later = reply->status == 503 || reply->status == 429;
    return fail(later ? ErrorKind::Unavailable : ErrorKind::Refused, "the master refused: " + why);
}

Result<json> join_with_token(const JoinWish& wish, const NodeIdentity& identity) {
    net::HttpClient client(target_of(wish, identity));
    json request = request_of(wish);
    request["token"] = wish.token;
    return post(client, "/v1/join", request);
}

Result<json> join_with_password(const JoinWish& wish, const NodeIdentity& identity) {
    net::HttpTarget target = target_of(wish, identity);
    const json request = request_of(wish);
    ScramClient proof(wish.user, wish.password, random_name(kNonceCharacters));
    json first = request;
    first["scram"] = proof.first();
    net::HttpClient stranger(target);
    const auto challenge = post(stranger, "/v1/join", first);
    if (!challenge) return challenge;
    // From here on only whoever has the key that is part of the proof is spoken with.
    const std::string pin = stranger.peer_pin();
    if (pin.empty()) return fail(ErrorKind::Refused, wish.master + " shows no key");
    target.trust.kind = net::TlsTrust::Kind::Pin;
    target.trust.pin = pin;
    const auto final = proof.final(text(*challenge, "scram"),
                                   join_binding_data(pin, identity.pin, state::json_line(request)));
    if (!final) return std::unexpected(final.error());
    net::HttpClient known(std::move(target));
    auto answer = post(known, "/v1/join/proof", {{"scram", *final}});
    if (answer && !proof.proves_server(text(*answer, "scram"))) {
        return fail(ErrorKind::Refused, wish.master + " does not prove to know the password of " +
                                            wish.user + ": nothing of what it says was believed");
    }
    return answer;
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

JoinWish member_wish(const NodeConfig& config) {
    JoinWish wish;
    if (!config.cluster.masters.empty()) wish.master = config.cluster.masters.front();
    wish.user = config.cluster.user;
    wish.name = config.node.name.text;
    wish.scope = name(scope_of(config.node.roles));
    wish.may_lead = config.node.roles.master;
    wish.cluster = config.cluster.advertise;
    wish.source_address = config.cluster.source_address;
    return wish;
}

JoinWish follower_wish(const NodeConfig& config, const FollowSettings& follow) {
    JoinWish wish;
    wish.master = follow.address();
    wish.user = follow.user;
    wish.name = follow.node_name;
    wish.scope = follow.mode;
    wish.source_address = config.cluster.source_address;
    wish.encryption = follow.encryption;
    return wish;
}

Result<> ask_to_join(const JoinWish& wish, NodeIdentity& identity) {
    if (!wish.token.empty() && !wish.encryption) {
        return fail(ErrorKind::Refused,
                    "without encryption a token can be read on the way and used by others first: "
                    "join with an administrator's name and password (--user), which are not sent");
    }
    const auto answer =
        wish.token.empty() ? join_with_password(wish, identity) : join_with_token(wish, identity);
    if (!answer) return std::unexpected(answer.error());
    return learn(identity, *answer, wish);
}

Result<> join_cluster(const NodeConfig& config, const JoinWish& wish) {
    const std::string& folder = config.node.state_dir;
    if (has_identity(folder)) {
        return fail(ErrorKind::Conflict, folder + " belongs to a cluster already");
    }
    // A token works once: what can go wrong here must do so before it is shown. With the same key a
    // join that was interrupted can be made again.
    if (auto made = make_folder(folder, 0700); !made) return made;
    auto identity = identity_with_key(folder, config.node.name);
    if (!identity) return std::unexpected(identity.error());
    if (auto joined = ask_to_join(wish, *identity); !joined) return joined;
    return save_identity(folder, *identity);
}

Result<> join_network(const NodeConfig& config, const FollowSettings& follow,
                      const JoinWish& wish) {
    const auto own = load_identity(config.node.state_dir);
    if (!own) return std::unexpected(own.error());
    const std::string folder = network_folder(config, follow.name);
    if (has_identity(folder)) {
        return fail(ErrorKind::Conflict, "the network " + follow.name + " is joined already");
    }
    if (auto made = make_folder(folder, 0700); !made) return made;
    NodeIdentity identity;
    identity.key = own->key;
    identity.certificate = own->certificate;
    identity.pin = own->pin;
    if (auto joined = ask_to_join(wish, identity); !joined) return joined;
    if (identity.cluster_id == own->cluster_id) {
        return fail(ErrorKind::Conflict,
                    "the network " + follow.name + " is this node's own cluster");
    }
    return save_membership(folder, identity);
}

namespace {

/// For a join that is still to come.
bool needs_password(const NodeConfig& config, const std::string& path) {
    if (config.cluster.password_file == path && !has_identity(config.node.state_dir)) return true;
    return std::ranges::any_of(config.follows, [&](const FollowSettings& follow) {
        return follow.password_file == path && !has_identity(network_folder(config, follow.name));
    });
}

}  // namespace

void remove_used_password(const NodeConfig& config, const std::string& path) {
    if (path.empty() || !exists(path) || needs_password(config, path)) return;
    // What would not be taken for a password is somebody else's, or was read by others.
    if (const auto password = read_password_file(path); !password) {
        log::warning("password_file_left",
                     {{"file", path},
                      {"why", password.error().detail},
                      {"what_to_do", "remove it: it is not needed any more"}});
        return;
    }
    remove_password_file(path);
    log::info("password_file_removed", {{"file", path}});
}

Result<> join_by_file(const NodeConfig& config) {
    const ClusterSettings& cluster = config.cluster;
    if (has_identity(config.node.state_dir)) {
        remove_used_password(config, cluster.password_file);
        return {};
    }
    if (cluster.password_file.empty() || cluster.masters.empty()) return {};
    const auto password = read_password_file(cluster.password_file);
    if (!password) return std::unexpected(password.error());
    JoinWish wish = member_wish(config);
    wish.password = *password;
    Result<> joined = fail(ErrorKind::Unavailable, "no master is named");
    auto acting = ActsAsUser::begin(config.node);
    if (!acting) return std::unexpected(acting.error());
    for (const std::string& master : cluster.masters) {
        wish.master = master;
        joined = join_cluster(config, wish);
        if (joined || joined.error().kind != ErrorKind::Unavailable) break;
    }
    acting->reset();
    if (joined) remove_used_password(config, cluster.password_file);
    return joined;
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
