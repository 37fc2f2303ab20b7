#include "cluster/route.h"

#include <set>

#include "cluster/recipients.h"

namespace muster::cluster {
namespace {

std::unexpected<Error> unavailable(std::string reason) {
    return fail(ErrorKind::Unavailable, "Server is temporarily unavailable, try again later",
                std::move(reason));
}

std::unexpected<Error> refused(std::string reason) {
    return fail(ErrorKind::Refused, "Authentication failed", std::move(reason));
}

constexpr std::string_view kDrained = "drained";

/// Why a server cannot take a new session now; empty when it can.
std::string_view obstacle(const ServerView& view, Service service) {
    if (view.server.admin == AdminState::Down) return "down-by-administrator";
    if (view.server.admin == AdminState::Drain) return kDrained;
    if (!view.server.service(service)) return "service-not-offered";
    if (!view.health->usable(service)) return "down";
    return {};
}

Route make_route(const Located& located, const ServerView& view, Service service) {
    Route route;
    route.topology = located.topology;
    route.server = &view;
    route.service = view.server.service(service);
    route.login = located.address;
    return route;
}

bool is_served(const Domain* domain, const NodeName& here) {
    if (!domain) return false;
    return domain->kind == DomainKind::Shared ||
           (domain->kind == DomainKind::Local && domain->node == here);
}

/// The server that refuses unknown names of a domain: always the same one while it is up.
Result<Route> route_unknown(const Located& located, const Domain& domain, Service service) {
    std::vector<ServerName> order;
    if (!domain.unknown_server.empty()) order.push_back(domain.unknown_server);
    order.insert(order.end(), domain.servers.begin(), domain.servers.end());
    for (const ServerName& server : order) {
        const ServerView* view = located.topology->server(server.text);
        if (view && obstacle(*view, service).empty()) return make_route(located, *view, service);
    }
    if (order.empty()) return refused("unknown-account");
    return unavailable("no-server-for-unknown-accounts");
}

Result<Route> route_home(const Located& located, Service service) {
    if (located.home.empty()) return unavailable("no-home");
    const ServerView* view = located.topology->server(located.home.text);
    if (!view) return unavailable("home-missing");
    // A Dovecot asks its own authority, which says no; a foreign server knows nothing of it.
    if (located.disabled && view->server.kind == ServerKind::Foreign) return refused("disabled");
    if (const std::string_view why = obstacle(*view, service); !why.empty()) {
        return unavailable("home-" + std::string(why));
    }
    if (view->server.login == LoginMode::Master && !view->credential) {
        const bool is_own = is_of_own_cluster(view->server.name.view());
        return unavailable(is_own ? "no-credential" : "home-takes-master-logins-only");
    }
    Route route = make_route(located, *view, service);
    route.account = located.id;
    route.epoch = located.epoch;
    return route;
}

/// Those that answer, beginning with the one whose turn it is; those that drain only if all do.
Result<std::vector<MailServer>> exits_of(const Topology& topology, const Network& network) {
    std::vector<MailServer> usable;
    std::vector<MailServer> draining;
    const unsigned turn = network.turn->fetch_add(1, std::memory_order_relaxed);
    for (std::size_t i = 0; i < network.exits.size(); ++i) {
        const ServerName& exit = network.exits[(turn + i) % network.exits.size()];
        const ServerView* view = topology.server(exit.view());
        if (!view || view->server.admin == AdminState::Down) continue;
        if (!view->health->usable(Service::Smtp)) continue;
        const bool is_open = view->server.admin == AdminState::Up;
        (is_open ? usable : draining).push_back({view, Service::Smtp, true});
    }
    if (usable.empty()) usable = std::move(draining);
    if (network.exits.empty()) return unavailable("network-has-no-front-end");
    if (usable.empty()) return unavailable("network-front-ends-down");
    return usable;
}

}  // namespace

Result<std::vector<MailServer>> mail_servers(const Topology& topology, const ServerName& home) {
    if (const Network* network = topology.network_at(home)) return exits_of(topology, *network);
    const auto one = mail_server(topology, home);
    if (!one) return std::unexpected(one.error());
    return std::vector{*one};
}

Result<MailServer> mail_server(const Topology& topology, const ServerName& home) {
    if (home.empty()) return unavailable("no-home");
    const ServerView* view = topology.server(home.text);
    if (!view) return unavailable("home-missing");
    const Service service = view->server.service(Service::Lmtp) ? Service::Lmtp : Service::Smtp;
    if (!view->server.service(service)) return unavailable("home-offers-no-mail-service");
    const std::string_view why = obstacle(*view, service);
    const bool is_drained = why == kDrained && view->health->usable(service);
    if (!why.empty() && !is_drained) return unavailable("home-" + std::string(why));
    return MailServer{view, service, false};
}

const Domain* dedicated_domain(const Topology& topology, const LoginContext& context,
                               const NodeName& here) {
    const Domain* domain = context_domain(topology, context);
    return is_served(domain, here) ? domain : nullptr;
}

std::vector<const ServerView*> reachable_servers(const Topology& topology, const Domain* dedicated,
                                                 const NodeName& here) {
    std::set<std::string> names;
    for (const Domain& domain : topology.parts().domains) {
        if (dedicated ? &domain != dedicated : !is_served(&domain, here)) continue;
        for (const ServerName& server : domain.servers) names.insert(server.text);
        if (!domain.unknown_server.empty()) names.insert(domain.unknown_server.text);
    }
    std::vector<const ServerView*> servers;
    for (const std::string& name : names) {
        if (const ServerView* view = topology.server(name)) servers.push_back(view);
    }
    return servers;
}

Result<Route> route(const Located& located, Service service, const NodeName& here) {
    if (is_served(located.domain, here)) {
        if (located.known) return route_home(located, service);
        return route_unknown(located, *located.domain, service);
    }
    if (is_served(located.context, here)) {
        return route_unknown(located, *located.context, service);
    }
    if (located.domain) return refused("domain-of-another-node");
    // No wrong password, as far as anybody knows.
    if (!knows_all_domains(*located.topology)) return unavailable("network-never-filled");
    return refused("unknown-domain");
}

}  // namespace muster::cluster
