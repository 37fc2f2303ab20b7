#pragma once
// What one worker derives from the topology: how each server is reached, what listeners announce.

#include <map>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "cluster/topology.h"
#include "frontend/settings.h"
#include "frontend/upstream.h"
#include "wire/capabilities.h"

namespace muster::frontend {

/// Lives on a worker's thread; made anew when the topology has changed, keeping TLS contexts whose
/// trust is the same.
class TargetTable {
public:
    /// `node` is this one, for announcements: domains of other nodes are not reached here.
    explicit TargetTable(const UpstreamSettings& settings, NodeName node = {})
        : settings_(settings), node_(std::move(node)) {}

    /// Forgets what was derived from another topology.
    void follow(const std::shared_ptr<const cluster::Topology>& topology);

    /// Errors: the server's TLS trust cannot be used.
    Result<std::shared_ptr<const UpstreamTarget>> target(const cluster::ServerView& server,
                                                         cluster::Service service);
    /// What a connection is told before login, as the protocol writes it: what all servers can do
    /// that it may lead to.
    const std::string& announcement(cluster::Service service, const wire::Offer& offer,
                                    const cluster::LoginContext& context);
    /// SCRAM works for every name that may come: names without domain come only where a domain is
    /// set for them, and there each server must learn the full one.
    [[nodiscard]] bool scram_works(cluster::Service service, const cluster::LoginContext& context);
    /// The next source address of the family of `to`, for `server`; empty: the kernel chooses.
    std::optional<IpAddress> source(const cluster::Server& server, const IpAddress& to);

private:
    /// A server without a `ca` of its own may be certified by a public authority.
    Result<std::shared_ptr<const net::TlsClient>> trust(const cluster::Server& server);

    const cluster::Domain* dedicated(const cluster::LoginContext& context) const;
    const std::vector<const cluster::ServerView*>& reachable(const cluster::Domain* dedicated);

    const UpstreamSettings& settings_;
    NodeName node_;
    std::shared_ptr<const cluster::Topology> topology_;
    std::map<std::pair<const cluster::ServerView*, cluster::Service>,
             std::shared_ptr<const UpstreamTarget>>
        targets_;
    /// Across snapshots: warm connections belong to the target that they were made for.
    struct Kept {
        std::string host;
        std::uint16_t port = 0;
        std::shared_ptr<const UpstreamTarget> target;
    };
    std::map<std::pair<ServerName, cluster::Service>, Kept> kept_;
    std::map<const cluster::Domain*, std::vector<const cluster::ServerView*>> reachable_;
    std::map<std::tuple<cluster::Service, unsigned, const cluster::Domain*>, std::string>
        announcements_;                                                    // by offer
    std::map<std::string, std::shared_ptr<const net::TlsClient>> trusts_;  // by authorities
    std::map<ServerName, std::size_t>
        next_source_;  ///< of each server: all addresses get their turn
};

}  // namespace muster::frontend
