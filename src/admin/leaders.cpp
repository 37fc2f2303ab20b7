#include "admin/leaders.h"

namespace muster::admin {

std::vector<PeerAddress> leaders_of(const std::vector<cluster::Node>& nodes, const NodeName& self) {
    std::vector<PeerAddress> found;
    for (const bool leads : {true, false}) {
        for (const cluster::Node& node : nodes) {
            const bool fits = leads ? node.master : node.eligible && !node.master;
            // A follower belongs to another network, whatever its entry says.
            const bool is_member = node.scope > cluster::NodeScope::Relay && !node.revoked;
            if (!fits || !is_member || node.pin.empty() || node.name == self) continue;
            found.push_back({node.name, node.cluster, node.pin});
        }
    }
    return found;
}

std::string pins_of(const std::vector<PeerAddress>& peers) {
    std::string pins;
    for (const PeerAddress& peer : peers) pins += (pins.empty() ? "" : ";") + peer.pin;
    return pins;
}

std::vector<PeerAddress> read_order(const FollowSettings& network,
                                    const std::vector<PeerAddress>& leaders,
                                    const std::vector<PeerAddress>& joined) {
    std::vector<PeerAddress> order{
        {NodeName(network.name), network.address(), pins_of(leaders.empty() ? joined : leaders)}};
    if (!network.encryption) return order;
    for (const PeerAddress& leader : leaders) {
        const bool is_again = leader.cluster == network.address();
        if (!is_again && !leader.cluster.empty()) order.push_back(leader);
    }
    return order;
}

net::HttpTarget peer_target(const PeerAddress& peer, const NodeIdentity& identity,
                            const std::string& source_address) {
    net::HttpTarget target;
    target.origin = "https://" + peer.cluster;
    target.trust = {net::TlsTrust::Kind::Pin, "", peer.pin};
    target.chain = identity.certificate;
    target.key = identity.key;
    target.source_address = source_address;
    return target;
}

}  // namespace muster::admin
