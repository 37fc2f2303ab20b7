#include "admin/node_identity.h"

#include <nlohmann/json.hpp>

#include <mutex>

#include "admin/files.h"
#include "base/base64.h"
#include "net/pki.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr unsigned kSecretMode = 0600;
constexpr auto kAuthorityLife = std::chrono::days(3650);
constexpr auto kNodeLife = std::chrono::days(3650);

json to_json(const NodeIdentity& identity) {
    json masters = json::array();
    for (const PeerAddress& master : identity.masters) {
        masters.push_back(
            {{"name", master.name.text}, {"cluster", master.cluster}, {"pin", master.pin}});
    }
    return {{"cluster", identity.cluster_id},
            {"authority", identity.authority},
            {"secret", base64_encode(identity.secret)},
            {"masters", masters}};
}

Result<> read_cluster(const std::string& text, NodeIdentity& identity) {
    const json read = state::parse_json(text);
    if (!read.is_object()) return fail(ErrorKind::Corrupt, "cluster.json is damaged");
    try {
        identity.cluster_id = read.at("cluster").get<std::string>();
        identity.authority = read.at("authority").get<std::string>();
        const auto secret = base64_decode(read.at("secret").get<std::string>(), kSealKeyBytes);
        // A relay has none.
        if (!secret || (!secret->empty() && secret->size() != kSealKeyBytes)) {
            return fail(ErrorKind::Corrupt, "cluster.json is damaged: secret");
        }
        identity.secret = *secret;
        for (const json& master : read.at("masters")) {
            identity.masters.push_back({NodeName(master.at("name").get<std::string>()),
                                        master.at("cluster").get<std::string>(),
                                        master.at("pin").get<std::string>()});
        }
    } catch (const json::exception& error) {
        return fail(ErrorKind::Corrupt, std::string("cluster.json is damaged: ") + error.what());
    }
    return {};
}

}  // namespace

bool has_identity(const std::string& state_dir) { return exists(state_dir + "/cluster.json"); }

Result<NodeIdentity> load_identity(const std::string& state_dir) {
    if (!has_identity(state_dir)) {
        return fail(ErrorKind::NotFound,
                    state_dir +
                        " belongs to no cluster yet: run \"muster cluster init\" on the "
                        "first master, \"muster cluster join\" on every other node");
    }
    NodeIdentity identity;
    auto key = read_file(state_dir + "/node.key");
    if (!key) return std::unexpected(key.error());
    auto certificate = read_file(state_dir + "/node.crt");
    if (!certificate) return std::unexpected(certificate.error());
    auto cluster = read_file(state_dir + "/cluster.json");
    if (!cluster) return std::unexpected(cluster.error());
    const auto pin = net::pin_of(*key);
    if (!pin) return fail(ErrorKind::Corrupt, state_dir + "/node.key: " + pin.error().detail);
    if (auto read = read_cluster(*cluster, identity); !read) return std::unexpected(read.error());
    identity.key = *key;
    identity.certificate = *certificate;
    identity.pin = *pin;
    if (exists(state_dir + "/authority.key")) {
        auto authority = read_file(state_dir + "/authority.key");
        if (!authority) return std::unexpected(authority.error());
        identity.authority_key = *authority;
    }
    return identity;
}

Result<> save_identity(const std::string& state_dir, const NodeIdentity& identity) {
    if (auto made = make_folder(state_dir, 0700); !made) return made;
    if (auto saved = write_file(state_dir + "/node.key", identity.key, kSecretMode); !saved) {
        return saved;
    }
    if (auto saved = write_file(state_dir + "/node.crt", identity.certificate); !saved) {
        return saved;
    }
    if (identity.authority_key) {
        auto saved = write_file(state_dir + "/authority.key", *identity.authority_key, kSecretMode);
        if (!saved) return saved;
    }
    return write_file(state_dir + "/cluster.json", to_json(identity).dump(2) + "\n", kSecretMode);
}

Result<> save_masters(const std::string& state_dir, NodeIdentity identity,
                      std::vector<PeerAddress> masters) {
    // Several threads learn who leads; each writes the whole file.
    static std::mutex writing;
    const std::scoped_lock lock(writing);
    identity.masters = std::move(masters);
    return write_file(state_dir + "/cluster.json", to_json(identity).dump(2) + "\n", kSecretMode);
}

std::string network_folder(const NodeConfig& config, const std::string& network) {
    return config.node.state_dir + "/networks/" + network;
}

Result<NodeIdentity> load_membership(const std::string& folder, const NodeIdentity& own) {
    NodeIdentity identity;
    identity.key = own.key;
    identity.certificate = own.certificate;
    identity.pin = own.pin;
    const auto cluster = read_file(folder + "/cluster.json");
    if (!cluster) return std::unexpected(cluster.error());
    if (auto read = read_cluster(*cluster, identity); !read) return std::unexpected(read.error());
    return identity;
}

Result<> save_membership(const std::string& folder, const NodeIdentity& identity) {
    return write_file(folder + "/cluster.json", to_json(identity).dump(2) + "\n", kSecretMode);
}

namespace {

Result<NodeIdentity> identity_of_key(std::string key, const NodeName& name) {
    NodeIdentity identity;
    identity.key = std::move(key);
    auto certificate =
        net::self_signed(identity.key, {name.text, {}, kNodeLife, net::CertificateUse::Peer});
    if (!certificate) return std::unexpected(certificate.error());
    identity.certificate = std::move(*certificate);
    identity.pin = *net::pin_of(identity.key);
    return identity;
}

}  // namespace

Result<NodeIdentity> identity_with_key(const std::string& state_dir, const NodeName& name) {
    const std::string file = state_dir + "/node.key";
    if (exists(file)) {
        auto key = read_file(file);
        if (!key) return std::unexpected(key.error());
        return identity_of_key(std::move(*key), name);
    }
    NodeIdentity identity = new_identity(name);
    if (auto kept = write_file(file, identity.key, kSecretMode); !kept) {
        return std::unexpected(kept.error());
    }
    return identity;
}

NodeIdentity new_identity(const NodeName& name) { return *identity_of_key(net::make_key(), name); }

Result<> found_cluster(NodeIdentity& identity) {
    identity.cluster_id = random_name(16);
    identity.secret = random_bytes(kSealKeyBytes);
    identity.authority_key = net::make_key();
    auto authority =
        net::self_signed(*identity.authority_key, {"Muster cluster " + identity.cluster_id,
                                                   {},
                                                   kAuthorityLife,
                                                   net::CertificateUse::Authority});
    if (!authority) return std::unexpected(authority.error());
    identity.authority = *authority;
    return {};
}

Result<std::string> issue_certificate(const NodeIdentity& identity, const std::string& subject,
                                      const std::string& common_name,
                                      const std::vector<std::string>& names,
                                      std::chrono::days lifetime) {
    if (!identity.authority_key) {
        return fail(ErrorKind::Refused, "only a master has the key of the authority");
    }
    net::CertificateWish wish;
    wish.common_name = common_name;
    wish.names = names;
    wish.lifetime = lifetime;
    return net::issue(identity.authority, *identity.authority_key, subject, wish);
}

}  // namespace muster::admin
