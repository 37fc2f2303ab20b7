#pragma once
// All that makes a node one of a cluster and lets it be administered: the admin socket, the HTTP
// listener, the cluster port, and on nodes that are no master the follower of the state.

#include <memory>

#include "admin/administrators.h"
#include "admin/api.h"
#include "admin/cluster_api.h"
#include "admin/following.h"
#include "admin/leadership.h"
#include "admin/node_alarms.h"
#include "admin/node_context.h"
#include "admin/peers.h"
#include "admin/presence.h"
#include "admin/smtp_listeners.h"
#include "net/http_server.h"

namespace muster::admin {

/// Owned by the node. start() and close() on the control loop's thread.
class Administration {
public:
    /// `context` must outlive it; config, identity and the parts of the node stand in it already.
    explicit Administration(NodeContext& context);
    ~Administration();

    /// Binds the listeners and starts to follow the masters. An error names what cannot be had.
    Result<> start();
    /// The HTTP listener shows the certificates of this file from now on, if it has TLS.
    Result<> use_certificates(const NodeConfig& config);
    /// Refuses new calls, ends those that run, stops following.
    Task<void> close();

    /// Where the HTTP listener and the cluster port are (ports may be the kernel's choice).
    [[nodiscard]] const std::optional<Endpoint>& admin_endpoint() const { return admin_at_; }
    [[nodiscard]] const std::optional<Endpoint>& cluster_endpoint() const { return cluster_at_; }

private:
    void offer_metrics();
    Result<> listen_admin();
    Result<> listen_cluster();
    Result<> listen_in_clear();
    /// Follows what the administrator wants of this node, and tells alarms now and then.
    Task<void> watch();
    Task<void> obey(cluster::AdminState wanted);
    /// Writes where front ends take SMTP, when that has changed.
    Task<void> note_smtp_listeners();
    /// On masters: makes and rotates what front ends have in common, when it is due.
    Task<void> keep_common_secrets();
    /// A node that loses its copy of the state finds those that lead and may lead by now. Blocks.
    void remember_masters();
    /// Writes what is known of the members; blocks.
    void note_presence();

    NodeContext& node_;
    std::unique_ptr<AuditLog> audit_;
    std::unique_ptr<Peers> peers_;
    std::unique_ptr<Administrators> administrators_;
    std::unique_ptr<Presence> presence_;
    SmtpListeners smtp_listeners_;
    Api api_;
    ClusterApi cluster_api_;
    std::unique_ptr<net::HttpServer> admin_server_;
    std::unique_ptr<net::HttpServer> cluster_server_;
    std::shared_ptr<Following> following_;
    std::unique_ptr<net::HttpServer> clear_server_;  ///< null without cluster.clear_listen
    net::Sleep* watching_ = nullptr;
    net::Clock::time_point secrets_again_{};  ///< not before: the last try failed
    AlarmReporter alarms_;
    TaskGroup tasks_;
    std::vector<PeerAddress> remembered_;
    cluster::AdminState obeyed_ = cluster::AdminState::Up;
    std::optional<Endpoint> admin_at_;
    std::optional<Endpoint> cluster_at_;
};

}  // namespace muster::admin
