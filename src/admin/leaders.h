#pragma once
// Which nodes of a network its state can be read from and its master be found at, and how to call
// them. Pure.

#include <string>
#include <vector>

#include "admin/node_file.h"
#include "admin/node_identity.h"
#include "cluster/entries.h"
#include "net/http_client.h"

namespace muster::admin {

/// Who leads, then who may, each by name as `nodes` are; without `self` and those that were
/// revoked, are followers of another network or have no key. One that cannot be called has no
/// address.
std::vector<PeerAddress> leaders_of(const std::vector<cluster::Node>& nodes, const NodeName& self);
/// Their keys, as net::TlsTrust takes them: whoever has one of them.
std::string pins_of(const std::vector<PeerAddress>& peers);

/// Where to read a followed network, in the order to try: the address of the node file, then its
/// `leaders`. Whoever is at that address must be one of these; who led when this node joined
/// (`joined`) counts only as long as the state names nobody, as he may be revoked by now.
/// Addresses of the state are of listeners with encryption: without it there is the first alone.
std::vector<PeerAddress> read_order(const FollowSettings& network,
                                    const std::vector<PeerAddress>& leaders,
                                    const std::vector<PeerAddress>& joined);

/// How this node calls `peer`, who must prove his key.
net::HttpTarget peer_target(const PeerAddress& peer, const NodeIdentity& identity,
                            const std::string& source_address);

}  // namespace muster::admin
