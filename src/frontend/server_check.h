#pragma once
// Proves a server end to end: connects as clients' sessions do, and logs in with a made-up name.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/endpoint.h"
#include "cluster/topology.h"
#include "frontend/host_addresses.h"
#include "frontend/settings.h"
#include "net/loop.h"
#include "wire/capabilities.h"

namespace muster::frontend {

enum class Proven : std::uint8_t {
    Yes,
    No,
    Cannot,  ///< nobody can tell, or the entry does not ask for it
};
std::string_view name(Proven proven);

struct Proof {
    cluster::Service service;
    std::string_view step;  ///< connect, tls, greeting, capabilities, login, client-address …
    Proven proven;
    std::string detail;
};

/// What a server was told about a client that does not exist. If it is a Dovecot beside a node,
/// that node knows under `login` what the server made of it.
struct Introduced {
    cluster::Service service;
    std::string login;
    std::string client;
    std::string session;
};

/// What a service offers before login, held against what front ends announce for it. Items as a
/// server's entry keeps them.
struct Offered {
    cluster::Service service;
    std::vector<std::string> items;
    std::vector<std::string> gained;  ///< offered and not announced
    std::vector<std::string> lost;    ///< announced and not offered
};

struct ServerReport {
    std::vector<Proof> proofs;
    std::vector<Offered> offered;  ///< of the services that could be asked
    std::vector<Introduced> introduced;
};

/// Runs on one loop's thread. What is passed by reference must outlive the checks.
class ServerCheck {
public:
    ServerCheck(net::Loop& loop, const UpstreamSettings& settings,
                const cluster::TopologyTable& topology, HostAddresses& hosts)
        : loop_(loop), settings_(settings), topology_(topology), hosts_(hosts) {}

    /// One service after the other; each phase ends within the settings' times.
    Task<ServerReport> run(ServerName server);

private:
    net::Loop& loop_;
    const UpstreamSettings& settings_;
    const cluster::TopologyTable& topology_;
    HostAddresses& hosts_;
};

/// What a server offers as the items of its entry: mechanisms that can be routed as AUTH=NAME, and
/// nothing that a front end decides for itself. Pure.
std::vector<std::string> entry_items(cluster::Service service, const wire::Capabilities& offered);
/// `announced` held against what is offered. With `own_keys` (a Dovecot that asks a node for them)
/// SCRAM-SHA-1 is left out unless it is announced: few accounts have a key for it. Pure.
Offered compare_offer(cluster::Service service, std::span<const std::string> announced,
                      const wire::Capabilities& offered, bool own_keys);
/// What of `announced` (items as an entry keeps them) `offered` lacks. Pure.
std::vector<std::string> lacking(cluster::Service service, std::span<const std::string> announced,
                                 const wire::Capabilities& offered);

/// "client-address" and "session-id": whether the server made of an introduction what it was
/// meant to. Pure.
std::vector<Proof> judge_introduction(const Introduced& introduced, std::string_view client,
                                      std::string_view session);
/// The same two when the server's view is not known.
std::vector<Proof> unknown_introduction(cluster::Service service, Proven proven,
                                        const std::string& why);

}  // namespace muster::frontend
