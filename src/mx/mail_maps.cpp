#include "mx/mail_maps.h"

#include "cluster/address.h"

namespace muster::mx {
namespace {

using cluster::MailRoute;
using cluster::MailVerdict;
using wire::socketmap::Status;

MapAnswer temporary(std::string reason) { return {Status::Temporary, std::move(reason)}; }

/// Whether the address is that of an account, and not one that leads to others.
bool is_account(const wire::smtp::Path& path, const MailRoute& route) {
    if (route.targets.size() != 1 || route.targets.front().home.empty()) return false;
    const auto own =
        cluster::make_address(path.local, route.domain->name, route.domain->case_policy);
    return own && own->text == route.targets.front().address;
}

/// A route's host as Postfix writes those whose MX is not looked up.
std::string nexthop(const cluster::MailHost& host) {
    const std::string name = '[' + host.name + ']';
    return host.port == cluster::MailHost{}.port ? name : name + ':' + std::to_string(host.port);
}

/// The front ends of another network, for Postfix to try in turn.
MapAnswer transport_to_exits(const cluster::Topology& topology, const cluster::Network& network) {
    std::string hosts;
    for (const ServerName& exit : network.exits) {
        const cluster::ServerView* view = topology.server(exit.view());
        if (view == nullptr) continue;
        const auto* smtp = view->server.service(cluster::Service::Smtp);
        if (smtp == nullptr) continue;
        if (!hosts.empty()) hosts += ", ";
        hosts += nexthop({view->server.host, smtp->port});
    }
    if (hosts.empty()) return temporary("network-has-no-front-end");
    return {Status::Ok, "smtp:" + hosts};
}

/// Other servers keep mail for a home that is down themselves.
MapAnswer transport_to(const cluster::Topology& topology, const ServerName& home) {
    if (const cluster::Network* network = topology.network_at(home)) {
        return transport_to_exits(topology, *network);
    }
    const cluster::ServerView* view = topology.server(home.text);
    if (view == nullptr) return temporary("home-missing");
    const cluster::Server& server = view->server;
    const auto at = [&server](const cluster::ServiceSettings& service) {
        return '[' + server.host + "]:" + std::to_string(service.port);
    };
    if (const auto* lmtp = server.service(cluster::Service::Lmtp)) {
        return {Status::Ok, "lmtp:inet:" + at(*lmtp)};
    }
    if (const auto* smtp = server.service(cluster::Service::Smtp)) {
        return {Status::Ok, "smtp:" + at(*smtp)};
    }
    return temporary("home-offers-no-mail-service");
}

MapAnswer transport_of(const cluster::Domain& remote) {
    std::string hosts;
    for (const cluster::MailHost& host : remote.route) {
        if (!hosts.empty()) hosts += ", ";
        hosts += nexthop(host);
    }
    return {Status::Ok, "smtp:" + (hosts.empty() ? remote.name.text : hosts)};
}

/// Its mail waits (450 at a front end); it is nobody's only when the account is gone.
constexpr const char* kDisabled = "the account is disabled";

MapAnswer ask_recipient(const wire::smtp::Path& path, const MailRoute& route) {
    if (route.verdict == MailVerdict::Disabled) return temporary(kDisabled);
    if (route.verdict != MailVerdict::Accept) return {};
    return {Status::Ok, path.text()};
}

MapAnswer ask_transport(const wire::smtp::Path& path, const MailRoute& route) {
    if (route.verdict == MailVerdict::Disabled) return temporary(kDisabled);
    if (route.verdict != MailVerdict::Accept) return {};
    if (route.domain == nullptr) return {};  // a rewritten sender's: as it leads elsewhere
    if (route.domain->kind == cluster::DomainKind::Remote) return transport_of(*route.domain);
    if (!is_account(path, route)) return {};
    return transport_to(*route.topology, route.targets.front().home);
}

MapAnswer ask_alias(const wire::smtp::Path& path, const MailRoute& route) {
    if (route.verdict != MailVerdict::Accept || is_account(path, route)) return {};
    if (route.is_outside()) return {};
    std::string addresses;
    for (const cluster::MailTarget& target : route.targets) {
        if (!addresses.empty()) addresses += ", ";
        addresses += target.address;
    }
    return {Status::Ok, std::move(addresses)};
}

}  // namespace

MapAnswer MailMaps::answer(const wire::socketmap::Request& request) {
    if (request.name == "recipient") return address(request.key, &ask_recipient);
    if (request.name == "transport") return address(request.key, &ask_transport);
    if (request.name == "alias") return address(request.key, &ask_alias);
    if (request.name == "domain") return domain(request.key);
    return {Status::Permanent, "no such map"};
}

/// The snapshot of the domains follows the first copy of the directory a moment later.
bool MailMaps::can_tell() {
    return directory_.reader().replica()->filled() &&
           !directory_.topology()->parts().domains.empty();
}

MapAnswer MailMaps::domain(std::string_view key) {
    if (!can_tell()) return temporary("the directory was never filled");
    const auto name = cluster::parse_domain(key);
    if (!name) return {};
    const bool is_of_rewriting = rewriting_ && rewriting_->rules()->domain == name->text;
    const auto& topology = directory_.topology();
    if (is_of_rewriting || topology->domain(name->text) != nullptr) return {Status::Ok, name->text};
    if (topology->is_unreadable(name->text)) return temporary("domain-unreadable");
    return {};
}

MapAnswer MailMaps::address(std::string_view key, Map map) {
    const auto path = wire::smtp::parse_address(key);
    if (!path || path->local.empty() || path->domain.empty()) return {};
    if (!can_tell()) return temporary("the directory was never filled");
    const auto route = delivery::find_mail_route(directory_, rewriting_.get(), *path, host_name_);
    if (!route) {
        const ErrorKind kind = route.error().kind;
        if (kind == ErrorKind::Syntax || kind == ErrorKind::Limit) return {};
        return temporary(route.error().detail);
    }
    if (route->verdict == MailVerdict::Unknown &&
        !cluster::knows_all_addresses(directory_, *route, patience_)) {
        return temporary("unknown to a directory that has not heard of a master for long");
    }
    return map(*path, *route);
}

}  // namespace muster::mx
