#pragma once
// The front end of a node: its workers, its health checks, its sessions.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cluster/session_table.h"
#include "frontend/account_watch.h"
#include "frontend/settings.h"
#include "frontend/worker.h"
#include "net/tls.h"

namespace muster::frontend {

/// Owned by the node; its functions may be called from any one thread at a time.
class FrontEnd {
public:
    /// What is passed by reference must outlive the front end.
    FrontEnd(Settings settings, const cluster::TopologyTable& topology,
             cluster::HealthTable& health, Verifier* verifier, net::BlockingPool& pool,
             std::function<std::unique_ptr<RequestService>(Worker&)> make_mail_service = {},
             std::function<std::unique_ptr<RequestService>(Worker&)> make_map_service = {});
    ~FrontEnd();
    FrontEnd(const FrontEnd&) = delete;
    FrontEnd& operator=(const FrontEnd&) = delete;

    /// Binds all listeners, then serves. An error names the listener; nothing then runs.
    Result<> start();
    /// Sessions in progress keep their TLS; new ones get these certificates.
    void use_certificates(const std::shared_ptr<const net::TlsServer>& certificates);

    /// No new connections; who is not logged in is sent away. sessions() tells what is left.
    void drain();
    /// Takes new connections again.
    void resume();
    /// Ends what is left.
    void stop();

    [[nodiscard]] const std::vector<Endpoint>& local_endpoints() const { return endpoints_; }
    [[nodiscard]] const cluster::SessionTable& sessions() const { return sessions_; }
    [[nodiscard]] std::size_t connections() const { return guard_.connections(); }
    [[nodiscard]] HostAddresses& hosts() { return hosts_; }
    /// Kicks what matches; how many were told to end.
    std::size_t kick(const cluster::SessionFilter& filter, const std::string& reason);

private:
    const Settings settings_;
    ClientGuard guard_;
    HostAddresses hosts_;
    Introductions introductions_;
    cluster::SessionTable sessions_;
    AccountWatch accounts_;
    Shared shared_;
    std::vector<std::unique_ptr<Worker>> workers_;
    std::vector<Endpoint> endpoints_;
};

}  // namespace muster::frontend
