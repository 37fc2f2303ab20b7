#pragma once
// What a node is in its cluster: its key, the cluster's authority and shared secret, its masters.
// Files in the state folder: node.key, node.crt, cluster.json, and on masters authority.key.

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "admin/node_file.h"
#include "base/error.h"
#include "base/ids.h"
#include "base/seal.h"
#include "net/pki.h"

namespace muster::admin {

/// How another node is reached and known.
struct PeerAddress {
    NodeName name;
    std::string cluster;  ///< "HOST:PORT"
    std::string pin;      ///< `sha256//BASE64`

    friend bool operator==(const PeerAddress&, const PeerAddress&) = default;
};

struct NodeIdentity {
    std::string key;          ///< PEM
    std::string certificate;  ///< PEM, self-signed: peers know the key, not the certificate
    std::string pin;
    std::string cluster_id;
    std::string authority;                       ///< PEM certificate of the cluster's authority
    std::string secret;                          ///< seals secrets in the state; empty on relays
    std::vector<PeerAddress> masters;            ///< as learnt when the node joined
    std::optional<std::string> authority_key{};  ///< PEM, on masters

    [[nodiscard]] SealSecret seal_secret() const { return SealSecret::key(secret); }
};

bool has_identity(const std::string& state_dir);
/// NotFound with what to do when the node belongs to no cluster yet.
Result<NodeIdentity> load_identity(const std::string& state_dir);
Result<> save_identity(const std::string& state_dir, const NodeIdentity& identity);
/// Only what stands in cluster.json, with other masters.
Result<> save_masters(const std::string& state_dir, NodeIdentity identity,
                      std::vector<PeerAddress> masters);

/// With the key of the folder, which is made if there is none; belongs to no cluster yet.
Result<NodeIdentity> identity_with_key(const std::string& state_dir, const NodeName& name);
/// Where a followed network's part of the identity and its replica are.
std::string network_folder(const NodeConfig& config, const std::string& network);
/// What a node knows of a network that it follows with the key and certificate of `own`.
Result<NodeIdentity> load_membership(const std::string& folder, const NodeIdentity& own);
Result<> save_membership(const std::string& folder, const NodeIdentity& identity);

/// A new key pair; belongs to no cluster yet.
NodeIdentity new_identity(const NodeName& name);
/// Makes the node the first of a new cluster: authority, secret, id.
Result<> found_cluster(NodeIdentity& identity);

/// A certificate of the cluster's authority for the key behind `subject` (PEM). Masters only.
Result<std::string> issue_certificate(const NodeIdentity& identity, const std::string& subject,
                                      const std::string& common_name,
                                      const std::vector<std::string>& names,
                                      std::chrono::days lifetime = net::kLongestLife);

}  // namespace muster::admin
