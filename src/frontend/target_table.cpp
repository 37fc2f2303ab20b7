#include "frontend/target_table.h"

#include "cluster/capabilities.h"
#include "cluster/route.h"
#include "wire/imap.h"
#include "wire/pop3.h"
#include "wire/sieve.h"

namespace muster::frontend {
namespace {

using cluster::Service;

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) {
        if (!text.empty()) text += ' ';
        text += word;
    }
    return text;
}

/// The announcement in the form that the protocol's before_login() reads.
wire::Capabilities as_capabilities(Service service, const cluster::Announcement& announcement) {
    wire::Capabilities capabilities;
    if (service == Service::Sieve) {
        capabilities.set("IMPLEMENTATION", "Muster");
        capabilities.set("VERSION", "1.0");
        capabilities.set("SIEVE", joined(announcement.capabilities));
        capabilities.set("SASL", joined(announcement.mechanisms));
        return capabilities;
    }
    for (const std::string& line : announcement.capabilities) {
        const std::size_t space = line.find(' ');
        if (space == std::string::npos) {
            capabilities.set(line);
        } else {
            capabilities.set(line.substr(0, space), line.substr(space + 1));
        }
    }
    if (service == Service::Pop3) {
        capabilities.set("SASL", joined(announcement.mechanisms));
        return capabilities;
    }
    for (const std::string& mechanism : announcement.mechanisms) {
        capabilities.set("AUTH=" + mechanism);
    }
    capabilities.set("SASL-IR");
    return capabilities;
}

std::string written(Service service, const wire::Capabilities& common, const wire::Offer& offer) {
    switch (service) {
        case Service::Pop3:
            return wire::pop3::write_capabilities(wire::pop3::before_login(common, offer));
        case Service::Sieve:
            return wire::sieve::write_capabilities(wire::sieve::before_login(common, offer));
        default: return wire::imap::write_capabilities(wire::imap::before_login(common, offer));
    }
}

}  // namespace

void TargetTable::follow(const std::shared_ptr<const cluster::Topology>& topology) {
    if (topology == topology_) return;
    topology_ = topology;
    targets_.clear();
    std::erase_if(kept_, [&](const auto& item) {
        return topology->server(item.first.first.view()) == nullptr;
    });
    reachable_.clear();
    announcements_.clear();
}

namespace {

/// Whether a connection that was made for one of them serves the other, too.
bool is_same(const UpstreamTarget& one, const UpstreamTarget& other) {
    return one.kind == other.kind && one.tls == other.tls && one.introduce == other.introduce &&
           one.trust == other.trust && one.tls_name == other.tls_name;
}

}  // namespace

Result<std::shared_ptr<const UpstreamTarget>> TargetTable::target(const cluster::ServerView& view,
                                                                  Service service) {
    auto& slot = targets_[{&view, service}];
    if (slot) return slot;
    const cluster::Server& server = view.server;
    const cluster::ServiceSettings* settings = server.service(service);
    if (settings == nullptr) {
        return fail(ErrorKind::Unavailable, "unavailable", "the server has no such service");
    }
    UpstreamTarget target{.server = server.name,
                          .kind = server.kind,
                          .service = service,
                          .tls = settings->tls,
                          .introduce = server.introduce,
                          .trust = nullptr,
                          .tls_name = server.tls_name.empty() ? server.host : server.tls_name};
    if (target.tls != cluster::TlsMode::None) {
        auto made = trust(server);
        if (!made) return std::unexpected(made.error());
        target.trust = *made;
    }
    Kept& kept = kept_[{server.name, service}];
    if (!kept.target || kept.host != server.host || kept.port != settings->port ||
        !is_same(*kept.target, target)) {
        kept = {server.host, settings->port,
                std::make_shared<const UpstreamTarget>(std::move(target))};
    }
    slot = kept.target;
    return slot;
}

Result<std::shared_ptr<const net::TlsClient>> TargetTable::trust(const cluster::Server& server) {
    const bool system_too = server.ca.empty();
    auto& slot = trusts_[(system_too ? "+" : "") + server.ca + server.authority];
    if (slot) return slot;
    auto made = net::TlsClient::create({net::TlsTrust::Kind::Authority,
                                        server.ca + server.authority + settings_.authorities,
                                        {},
                                        system_too});
    if (!made) return made;
    slot = *made;
    return slot;
}

const cluster::Domain* TargetTable::dedicated(const cluster::LoginContext& context) const {
    return cluster::dedicated_domain(*topology_, context, node_);
}

const std::vector<const cluster::ServerView*>& TargetTable::reachable(
    const cluster::Domain* dedicated) {
    const auto [slot, is_new] = reachable_.try_emplace(dedicated);
    if (is_new) slot->second = cluster::reachable_servers(*topology_, dedicated, node_);
    return slot->second;
}

const std::string& TargetTable::announcement(Service service, const wire::Offer& offer,
                                             const cluster::LoginContext& context) {
    const auto bit = [](bool flag, unsigned place) { return flag ? 1U << place : 0U; };
    const unsigned key =
        bit(offer.tls, 0) | bit(offer.starttls, 1) | bit(offer.cleartext, 2) | bit(offer.scram, 3);
    const cluster::Domain* domain = dedicated(context);
    std::string& text = announcements_[{service, key, domain}];
    if (!text.empty()) return text;
    const auto common =
        as_capabilities(service, cluster::common_announcement(reachable(domain), service));
    text = written(service, common, offer);
    return text;
}

bool TargetTable::scram_works(Service service, const cluster::LoginContext& context) {
    const cluster::Domain* domain = dedicated(context);
    return domain == nullptr || cluster::map_names(reachable(domain), service);
}

std::optional<IpAddress> TargetTable::source(const cluster::Server& server, const IpAddress& to) {
    const auto& own = server.source.empty() ? settings_.source_addresses : server.source;
    if (own.empty()) return std::nullopt;
    std::size_t& next = next_source_[server.name];
    for (std::size_t tried = 0; tried < own.size(); ++tried) {
        const IpAddress& candidate = own[next++ % own.size()];
        if (candidate.is_v4() == to.is_v4()) return candidate;
    }
    return std::nullopt;
}

}  // namespace muster::frontend
