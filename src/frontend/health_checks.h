#pragma once
// Active checks: does each service of each server greet?

#include <functional>
#include <memory>

#include "cluster/health.h"
#include "cluster/topology.h"
#include "frontend/host_addresses.h"
#include "frontend/settings.h"
#include "frontend/target_table.h"
#include "net/loop.h"
#include "net/stream_set.h"

namespace muster::frontend {

/// Runs on one loop's thread, beside whatever else runs there. A check connects, does TLS as the
/// entry says, and reads the greeting; it logs in nowhere. It keeps when the certificate ends.
class HealthChecks {
public:
    /// What is passed by reference must outlive the checks.
    HealthChecks(net::Loop& loop, const UpstreamSettings& settings,
                 const cluster::TopologyTable& topology, cluster::HealthTable& health,
                 HostAddresses& hosts);

    /// Called on the loop's thread when a service of a server that was down is up. Set
    /// before start().
    void on_up(std::function<void(const ServerName&)> listener) { on_up_ = std::move(listener); }
    /// Spawns the loop of checks; call on the loop's thread.
    void start();
    /// No further checks; those on their way are broken off and say nothing of their servers.
    void stop();

private:
    Task<void> check_loop();
    Task<void> check(cluster::CheckTarget which, std::shared_ptr<const cluster::Topology> topology);
    Task<Result<>> try_service(const cluster::ServerView& server, cluster::Service service);
    /// For the certificate there, which would otherwise end unseen.
    static Task<void> look_behind_starttls(net::SocketStream& stream, const UpstreamTarget& target);

    net::Loop& loop_;
    const UpstreamSettings& settings_;
    const cluster::TopologyTable& topology_;
    cluster::HealthTable& health_;
    HostAddresses& hosts_;
    TargetTable targets_;
    std::function<void(const ServerName&)> on_up_;
    net::StreamSet busy_;
    net::Sleep* pausing_ = nullptr;
    bool stopping_ = false;
};

/// Says so in the log when a server became up or down.
void log_change(const std::optional<cluster::HealthChange>& change);

}  // namespace muster::frontend
