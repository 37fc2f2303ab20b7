#pragma once
// One thread of a front end: its listeners, sessions and connections to servers.

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/metrics.h"
#include "cluster/directory.h"
#include "cluster/health.h"
#include "cluster/route.h"
#include "cluster/session_table.h"
#include "frontend/account_watch.h"
#include "frontend/client_guard.h"
#include "frontend/client_session.h"
#include "frontend/host_addresses.h"
#include "frontend/introductions.h"
#include "frontend/request_service.h"
#include "frontend/settings.h"
#include "frontend/target_table.h"
#include "frontend/verifier.h"
#include "frontend/warm_connections.h"
#include "net/blocking_pool.h"
#include "net/listener.h"
#include "net/loop.h"

namespace muster::frontend {

class Connection;
class Worker;

/// What the workers of a front end share. Everything in it is thread-safe and outlives them.
struct Shared {
    const Settings& settings;
    const cluster::TopologyTable& topology;
    cluster::HealthTable& health;
    cluster::SessionTable& sessions;
    AccountWatch& accounts;
    ClientGuard& guard;
    HostAddresses& hosts;
    Introductions& introductions;
    Verifier* verifier;  ///< null: no server is entered by token or master user
    net::BlockingPool& pool;
    /// Makes what serves each worker's SMTP listeners; empty: there are none.
    std::function<std::unique_ptr<RequestService>(Worker&)> make_mail_service;
    /// Makes what serves Settings::maps.
    std::function<std::unique_ptr<RequestService>(Worker&)> make_map_service;
};

/// Counted without a lock; names and help stand in worker.cpp.
struct Counters {
    explicit Counters(cluster::Service service);
    metrics::Counter& accepted;
    metrics::Counter& refused;
    metrics::Counter& logins;
    metrics::Counter& denied;
    metrics::Counter& unavailable;
    metrics::Counter& failed;
    metrics::Counter& to_client;
    metrics::Counter& to_server;
};

/// Shares nothing with other workers but `Shared`; a session never leaves its worker.
class Worker final : public SessionHost {
public:
    Worker(const Shared& shared, std::size_t number);
    ~Worker() override;

    /// Binds the listeners (on the caller's thread) and starts the thread.
    Result<> start();
    /// Thread-safe, as the next: no new connections; sessions that are not logged in end.
    void drain();
    void resume();
    /// Begins to end all sessions, and the thread after them.
    void begin_stop(net::EndReason reason);
    /// After begin_stop(): returns when the thread has ended.
    void wait();
    void use_certificates(std::shared_ptr<const net::TlsServer> certificates);
    void kick(cluster::SessionHandle handle, std::string reason);
    /// Where the listeners are, in the order of the settings, then that of the maps (ports may be
    /// the kernel's choice).
    [[nodiscard]] std::vector<Endpoint> local_endpoints() const;

    // For the sessions of this worker.
    [[nodiscard]] const Limits& limits() const override { return shared_.settings.limits; }
    [[nodiscard]] const std::string& announcement(cluster::Service service,
                                                  const wire::Offer& offer,
                                                  const cluster::LoginContext& context) override;
    [[nodiscard]] bool scram_works(cluster::Service service,
                                   const cluster::LoginContext& context) override;
    [[nodiscard]] std::shared_ptr<const net::TlsServer> certificates() override {
        return certificates_;
    }
    [[nodiscard]] bool draining() const override { return draining_; }

    [[nodiscard]] const Shared& shared() const { return shared_; }
    [[nodiscard]] net::Loop& loop() { return loop_; }
    [[nodiscard]] cluster::Directory& directory() { return directory_; }
    [[nodiscard]] TargetTable& targets() { return targets_; }
    [[nodiscard]] Counters& counters(cluster::Service service);
    [[nodiscard]] cluster::SessionShard& sessions() { return shared_.sessions.shard(number_); }
    [[nodiscard]] SessionId new_session_id();
    /// Which of the workers this is.
    [[nodiscard]] std::size_t number() const { return number_; }
    /// False when strangers' names are handed on too fast just now.
    [[nodiscard]] bool may_hand_on_unknown();

    struct Reached {
        std::unique_ptr<Upstream> upstream;
        bool was_waiting;  ///< since a while, so it may have died unnoticed
    };
    /// A greeted connection to the server: a warm one, or a new one. `peer` is for the health
    /// table and, where the server wants it, the PROXY header.
    Task<Result<Reached>> upstream(cluster::Service service, cluster::Route route, Peer peer);
    /// A new one in place of a warm one that had died.
    Task<Result<Reached>> upstream_anew(cluster::Service service, cluster::Route route, Peer peer);
    /// Closes the warm ones.
    void give_up_warm(cluster::Service service, const cluster::Route& route);

private:
    friend class Connection;

    Task<void> serve(net::Accepted accepted, const ListenerSettings& listener);
    void accept(net::Accepted accepted, const ListenerSettings& listener);
    /// Where the connection came in.
    static Endpoint local_end(const net::Accepted& accepted, const ListenerSettings& listener);
    Result<> listen();
    Result<> listen_at(const Endpoint& endpoint, net::Listener::OnAccepted on_accepted);
    Task<Result<Reached>> reach(std::shared_ptr<const UpstreamTarget> target, cluster::Route route,
                                Peer peer);
    Task<Result<std::unique_ptr<Upstream>>> connect(std::shared_ptr<const UpstreamTarget> target,
                                                    const cluster::Route& route,
                                                    std::string proxy_header);
    /// Of what a process may keep ready, this worker's part.
    [[nodiscard]] std::size_t warm_share(const cluster::ServiceSettings& service) const;
    Task<void> warm_up(std::shared_ptr<const UpstreamTarget> target, cluster::Route route);
    Task<void> sweep_warm_connections();
    void run();

    Shared shared_;
    std::size_t number_;
    net::Loop loop_;
    cluster::Directory directory_;
    TargetTable targets_;
    WarmConnections warm_;
    std::vector<Counters> counters_;
    std::shared_ptr<const net::TlsServer> certificates_;
    std::vector<std::unique_ptr<net::Listener>> listeners_;
    std::vector<std::unique_ptr<net::Listener>> closed_listeners_;  // until the loop has turned
    Connection* connections_ = nullptr;  // intrusive list of all that live
    std::unique_ptr<RequestService> mail_;
    std::unique_ptr<RequestService> maps_;
    net::Sleep* sweeping_ = nullptr;
    std::uint64_t random_[2];
    double unknown_budget_;
    net::Clock::time_point unknown_refilled_;
    bool draining_ = false;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace muster::frontend
