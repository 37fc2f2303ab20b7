#pragma once
// What one worker derives from the topology: how each server is reached, what listeners announce.

#include <map>
#include <memory>
#include <utility>

#include "cluster/topology.h"
#include "frontend/settings.h"
#include "frontend/upstream.h"
#include "wire/capabilities.h"

namespace muster::frontend {

/// Lives on a worker's thread; made anew when the topology has changed, keeping TLS contexts whose
/// trust is the same.
class TargetTable {
public:
    explicit TargetTable(const UpstreamSettings& settings) : settings_(settings) {}

    /// Forgets what was derived from another topology.
    void follow(const std::shared_ptr<const cluster::Topology>& topology);

    /// Errors: the server's TLS trust cannot be used.
    Result<std::shared_ptr<const UpstreamTarget>> target(const cluster::ServerView& server,
                                                         cluster::Service service);
    /// What a listener announces before login, as the protocol writes it.
    const std::string& announcement(cluster::Service service, const wire::Offer& offer);
    /// All are Dovecots that take forwarded fields, so that SCRAM works for names without domain.
    [[nodiscard]] bool servers_map_names() const;
    /// The next source address for `server`; empty: the kernel chooses.
    std::optional<IpAddress> source(const cluster::Server& server);

private:
    /// `own` is the entry's `ca`; a server without one may be certified by a public authority.
    Result<std::shared_ptr<const net::TlsClient>> trust(const std::string& own);

    const UpstreamSettings& settings_;
    std::shared_ptr<const cluster::Topology> topology_;
    std::map<std::pair<const cluster::ServerView*, cluster::Service>,
             std::shared_ptr<const UpstreamTarget>>
        targets_;
    std::map<std::pair<cluster::Service, unsigned>, std::string> announcements_;  // by offer
    std::map<std::string, std::shared_ptr<const net::TlsClient>> trusts_;         // by authorities
    std::size_t next_source_ = 0;
};

}  // namespace muster::frontend
