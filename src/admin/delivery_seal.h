#pragma once
// Credentials for delivery on their way to a follower of another network: sealed for that one node.

#include <functional>
#include <string>

#include "admin/node_identity.h"
#include "base/ids.h"
#include "base/seal.h"
#include "cluster/directory_source.h"
#include "cluster/entries.h"
#include "state/feed.h"

namespace muster::admin {

struct NodeContext;

/// The key that a follower shares with the masters of a network and nobody else: they make it of
/// the network's secret each time, the follower keeps it from its join on.
std::string follower_key(const std::string& network_secret, const NodeName& node,
                         const std::string& pin);

/// What such a follower is sent in place of `delivery/…` entries: their passwords under its key;
/// none where this node cannot open them. Thread-safe.
state::FeedView::Rewrite sealed_for(const SealSecret& network, const SealSecret& follower);

/// What a member may read of the state, as far as it asks for it; and the same as its feed.
state::Sight sight_of(const cluster::Node& member, state::Scope scope, bool asks_for_delivery);
state::FeedView view_for(const cluster::Node& member, state::Sight sight,
                         const NodeIdentity& identity);

/// Opens the passwords that this node holds: of its own cluster, and of the networks that it
/// follows. Thread-safe; `node` must outlive it.
std::function<Result<std::string>(const cluster::DeliveryCredential&)> delivery_opener(
    const NodeContext& node);

}  // namespace muster::admin
