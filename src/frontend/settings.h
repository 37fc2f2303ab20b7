#pragma once
// What a front end is told by its node's file, as plain values.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/endpoint.h"
#include "base/ids.h"
#include "base/seal.h"
#include "cluster/entries.h"
#include "net/timer.h"

namespace muster::frontend {

/// One address on which clients are served.
struct ListenerSettings {
    cluster::Service service = cluster::Service::Imap;
    Endpoint address;
    cluster::TlsMode tls = cluster::TlsMode::StartTls;
    std::optional<DomainName> default_domain;  ///< of login names without one
    std::vector<Network> proxy_from;           ///< balancers that send a PROXY header here
};

/// What clients may take. Counts are for the whole process.
struct Limits {
    std::size_t connections = 9500;
    std::size_t connections_per_address = 500;
    net::Duration login_time{60'000};  ///< from connecting to being logged in
    std::size_t failures = 10;         ///< of one address within the window, then it waits
    net::Duration failure_window{300'000};
    std::size_t commands_before_login = 50;
    std::size_t line = 8192;     ///< bytes
    std::size_t literal = 4096;  ///< bytes
    net::Duration idle_imap{1'800'000};
    net::Duration idle_pop3{600'000};
    net::Duration idle_sieve{1'800'000};

    [[nodiscard]] net::Duration idle(cluster::Service service) const {
        if (service == cluster::Service::Pop3) return idle_pop3;
        return service == cluster::Service::Sieve ? idle_sieve : idle_imap;
    }
};

/// Connections to servers.
struct UpstreamSettings {
    std::vector<IpAddress> source_addresses;  ///< used in turn; empty: the kernel chooses
    std::size_t warm = 4;  ///< connections kept ready by the process, where the server says nothing
    net::Duration connect_time{5'000};  ///< from connecting to the greeting, TLS included
    net::Duration login_time{30'000};   ///< for the server to answer a login
    std::string authorities;            ///< PEM; trusted besides a server's own
};

struct Settings {
    NodeName node;
    std::size_t workers = 1;
    std::vector<ListenerSettings> listeners;
    std::optional<ListenerSettings> maps{};  ///< where other mail servers ask
    Limits limits;
    UpstreamSettings upstream;
    SealSecret secret;  ///< the cluster's: opens master users' passwords
};

}  // namespace muster::frontend
