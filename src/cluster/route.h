#pragma once
// Where a login goes. Pure: from what the directory and the health of the servers say.

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "cluster/directory.h"
#include "cluster/entries.h"
#include "cluster/topology.h"

namespace muster::cluster {

/// A server to hand the session to. How to introduce the client and whose credentials to send
/// stand in `server->server` (introduce, login) and `server->credential`.
struct Route {
    std::shared_ptr<const Topology> topology;  ///< keeps the pointers below alive
    const ServerView* server = nullptr;
    const ServiceSettings* service = nullptr;
    AccountAddress login;  ///< the full address, the name to send on
    AccountId account;     ///< empty: unknown, to be refused by a server like a wrong password
    std::uint64_t epoch = 0;

    [[nodiscard]] bool known() const { return !account.empty(); }
};

/// `here` is this node: a local domain is served by its own node alone. Errors:
/// Refused — answer as to a wrong password; Unavailable — `NO [UNAVAILABLE]`, never a failed
/// password. `detail` is the reason for the log (`home-down`, `home-drained`, `no-home` …).
///
/// Unknown names go to the domain's `unknown_server` (else its first; else, for domains that are
/// not ours, that of the connection's own domain), or while that is down the next server of the
/// domain, so that an unknown account and a wrong password look the same.
Result<Route> route(const Located& located, Service service, const NodeName& here);

/// Where mail for the accounts of `home` is handed over. `service` is Lmtp where the server has it,
/// else Smtp. A server that is drained still takes its mail. A home `@NETWORK` is that network's
/// front ends, in turn. Errors: Unavailable, `detail` as above (`home-down`, `no-home` …).
struct MailServer {
    const ServerView* server = nullptr;  ///< lives as long as the topology
    Service service = Service::Lmtp;
    bool is_exit = false;  ///< another network's front end: TLS if it offers that
};
Result<MailServer> mail_server(const Topology& topology, const ServerName& home);

/// All that can take mail for `home` now, in the order to try them: one, or a network's front ends.
/// Errors as above.
Result<std::vector<MailServer>> mail_servers(const Topology& topology, const ServerName& home);

/// The domain that a connection is dedicated to, by what it says of itself; null: it is for every
/// domain that this node serves.
const Domain* dedicated_domain(const Topology& topology, const LoginContext& context,
                               const NodeName& here);

/// Where the logins of such a connection may go, by the state and not by which of them are up:
/// the servers of `dedicated`, or of all domains that node `here` serves. Ordered by name, so that
/// every front end announces the same; they live as long as the topology.
std::vector<const ServerView*> reachable_servers(const Topology& topology, const Domain* dedicated,
                                                 const NodeName& here);

}  // namespace muster::cluster
