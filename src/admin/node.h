#pragma once
// A running node: what its roles need, put together from its file.

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "admin/administration.h"
#include "admin/common_secrets.h"
#include "admin/folder_lock.h"
#include "admin/followed_network.h"
#include "admin/leadership.h"
#include "admin/mail_system.h"
#include "admin/node_context.h"
#include "admin/node_file.h"
#include "admin/peer_verifier.h"
#include "admin/reload.h"
#include "backend/agent.h"
#include "cluster/health.h"
#include "cluster/topology.h"
#include "frontend/front_end.h"
#include "frontend/health_checks.h"
#include "frontend/server_check.h"
#include "net/loop.h"
#include "state/replica.h"
#include "state/store.h"

namespace muster::admin {

/// Owned by serve(). Everything that is not a worker, the follower or the pool runs on its control
/// loop, which is the thread that calls run().
class Node {
public:
    Node(NodeConfig config, std::string file);
    ~Node();
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    /// Opens the state and binds every listener. After an error nothing of it runs, and the node
    /// cannot be started again.
    Result<> start();
    /// Serves until it was told to stop and its sessions have ended (or their time is over).
    void run();

    /// On the control loop: no new sessions, then the end.
    void stop();
    /// On the control loop: reads the node file again and says which changed options it took over
    /// and which need a restart. A bad file changes nothing.
    Result<ReloadPlan> reload();
    Task<Result<nlohmann::json>> reload_here();
    [[nodiscard]] net::Loop& loop() { return loop_; }

private:
    Result<> start_parts();
    Result<> lock_folder();
    Result<> open_state();
    /// The replicas of other networks, as they are; following begins later.
    Result<> open_networks();
    /// Puts the front end together; it takes no client before start_front_end().
    Result<> prepare_front_end();
    Result<> start_front_end();
    Result<> start_agent();
    /// Takes up certificates of the state as soon as they change.
    void follow_certificates();
    /// The same for secrets in common.
    void follow_secrets();
    /// Mail that is queued for a server which answers again, or is in use again, goes at once.
    void serve_again(const ServerName& server);
    void follow_servers();
    Result<> use_certificates(const NodeConfig& config);
    Result<> use_reloaded_certificates(const NodeConfig& fresh);
    Result<ReloadPlan> read_again();
    void offer_hooks();
    Task<void> drain_then_end();
    /// Ends whatever was started, the last first, then the loop.
    Task<void> end_parts();

    std::string file_;
    net::Loop loop_;
    Pools pools_;
    net::BlockingPool ending_{1};  ///< waits for threads to end, so that the loop need not
    FolderLock lock_;
    NodeContext context_;
    std::unique_ptr<Leadership> leadership_;  ///< null unless this node may lead
    FollowedNetworks networks_;
    cluster::HealthTable health_;
    std::unique_ptr<ExceptionFile> exceptions_;
    std::unique_ptr<cluster::TopologyTable> topology_;
    PeerVerifier verifier_{context_};
    frontend::UpstreamSettings upstream_settings_;
    std::unique_ptr<CommonSecrets> common_secrets_;  ///< null without a front end
    std::unique_ptr<MailSystem> mail_;               ///< null: no listener takes mail
    std::unique_ptr<frontend::FrontEnd> front_end_;
    std::unique_ptr<frontend::HealthChecks> health_checks_;
    std::unique_ptr<frontend::ServerCheck> server_check_;
    std::unique_ptr<backend::Agent> agent_;
    std::unique_ptr<Administration> administration_;
    std::vector<cluster::Certificate> shown_certificates_;
    std::map<ServerName, std::string> server_places_;  ///< where each took mail last
    bool stopping_ = false;
};

}  // namespace muster::admin
