#include "cluster/topology_merge.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <unordered_map>

#include "cluster/domain_pattern.h"
#include "cluster/entry_keys.h"

namespace muster::cluster {
namespace {

bool is_taken(const Domain& domain, SourceMode mode) {
    switch (mode) {
        case SourceMode::Own: return true;
        case SourceMode::Relay: return domain.kind != DomainKind::Remote;
        case SourceMode::Mirror: return domain.kind == DomainKind::Remote;
    }
    return false;
}

void append(std::string& name, const std::string& suffix) {
    if (!name.empty()) name += suffix;
}

Domain as_followed(Domain domain, std::size_t directory, const std::string& suffix,
                   const Admission& admission) {
    domain.directory = directory;
    // Clients would send their passwords where it says.
    if (directory != 0 && !admission.default_for) {
        domain.addresses.clear();
        domain.tls_names.clear();
    }
    append(domain.node.text, suffix);
    append(domain.unknown_server.text, suffix);
    for (ServerName& server : domain.servers) append(server.text, suffix);
    return domain;
}

Server as_followed(Server server, const std::string& suffix, const std::string& authority) {
    server.authority = authority;
    append(server.name.text, suffix);
    server.node = {};
    if (server.login == LoginMode::Token) server.login = LoginMode::Own;
    return server;
}

/// Whether a host of another network is this machine itself, or what only this machine sees: its
/// own services would take us for one of theirs.
bool is_local(const std::string& host) {
    if (host == "localhost" || host.ends_with(".localhost")) return true;
    const auto address = IpAddress::parse(host);
    if (!address) return false;
    static const std::array kLinkLocal{*muster::Network::parse("169.254.0.0/16"),
                                       *muster::Network::parse("fe80::/10")};
    return address->is_loopback() || address->is_unspecified() ||
           any_contains(kLinkLocal, *address);
}

/// A front end of another network as a server that takes its mail; null: it says no HOST:PORT.
std::optional<Server> exit_server(const std::string& listener, const Node& node,
                                  const std::string& suffix) {
    const auto host = MailHost::parse(listener);
    if (!host) return std::nullopt;
    Server server;
    server.name = ServerName(listener + suffix);
    server.kind = ServerKind::Foreign;
    server.host = host->name;
    server.admin = node.admin;
    server.services[static_cast<std::size_t>(Service::Smtp)] =
        ServiceSettings{.port = host->port, .tls = TlsMode::None};
    return server;
}

class Merger {
public:
    TopologyParts merge(const std::vector<NetworkParts>& networks) {
        all_.networks.clear();
        for (const NetworkParts& network : networks) take(network);
        return std::move(all_);
    }

private:
    void take(const NetworkParts& from) {
        Network network{.name = from.name, .mode = from.mode, .hand_to = from.hand_to};
        network.filled = from.parts != nullptr;
        if (!from.name.empty()) network.suffix = '@' + from.name;
        if (network.filled && from.mode == SourceMode::Own) take_own(*from.parts);
        if (network.filled) take_unreadable(*from.parts, from, network);
        if (network.filled) take_domains(*from.parts, from, network);
        if (network.filled && from.mode != SourceMode::Relay) take_deliveries(*from.parts);
        if (network.filled && from.mode == SourceMode::Relay) {
            for (const Server& server : from.parts->servers) {
                if (!from.admission.local_addresses && is_local(server.host)) {
                    note_misplaced(network, server.name.text + " (" + server.host + ")");
                    continue;
                }
                all_.servers.push_back(as_followed(server, network.suffix, from.authority));
            }
            if (from.hand_to == HandTo::Master) take_exits(*from.parts, from, network);
        }
        all_.networks.push_back(std::move(network));
    }

    void take_own(const TopologyParts& own) {
        all_.servers = own.servers;
        all_.nodes = own.nodes;
        all_.settings = own.settings;
        all_.certificates = own.certificates;
        all_.credentials = own.credentials;
        all_.secrets = own.secrets;
        all_.dkim_keys = own.dkim_keys;
        all_.unreadable = own.unreadable;
    }

    /// Whose it is stays so: its mail waits until it can be read, and goes to nobody else.
    void take_unreadable(const TopologyParts& parts, const NetworkParts& from, Network& network) {
        const std::vector<std::string>& admitted = from.admission.domains;
        for (const auto& [name, is_remote] : parts.unreadable_domains) {
            if (from.mode != SourceMode::Own && is_remote != (from.mode == SourceMode::Mirror)) {
                continue;
            }
            if (!admitted.empty() && !is_among(admitted, name)) {
                note_refusal(network, DomainName(name));
                continue;
            }
            const auto [first, is_new] = owners_.try_emplace(name, all_.networks.size());
            if (is_new) {
                all_.unreadable_domains.emplace(name, is_remote);
                if (network.unreadable++ == 0) network.unreadable_first = name;
            } else {
                note_conflict(DomainName(name), first->second, network.suffix);
            }
        }
    }

    void take_domains(const TopologyParts& parts, const NetworkParts& from, Network& network) {
        const std::size_t directory = all_.networks.size();
        const std::vector<std::string>& admitted = from.admission.domains;
        for (const Domain& domain : parts.domains) {
            if (!is_taken(domain, from.mode)) continue;
            if (!admitted.empty() && !is_among(admitted, domain.name.text)) {
                note_refusal(network, domain.name);
                continue;
            }
            const bool may_be_local = directory == 0 || from.admission.local_addresses ||
                                      parts.own_routes.contains(domain.name.text);
            if (!may_be_local && std::ranges::any_of(domain.route, is_local, &MailHost::name)) {
                note_misplaced(network, domain.name.text + " (its route)");
                continue;
            }
            const auto [first, is_new] = owners_.try_emplace(domain.name.text, directory);
            if (is_new) {
                all_.domains.push_back(
                    as_followed(domain, directory, network.suffix, from.admission));
                note_misfit(parts, domain.name);
            } else {
                note_conflict(domain.name, first->second, network.suffix);
            }
        }
    }

    /// Whether the directory that is taken now has that domain.
    [[nodiscard]] bool owns(const std::string& domain) const {
        const auto owner = owners_.find(domain);
        return owner != owners_.end() && owner->second == all_.networks.size();
    }

    /// Each belongs to the domain of its own directory.
    void take_deliveries(const TopologyParts& from) {
        for (const DeliveryCredential& delivery : from.deliveries) {
            if (!owns(delivery.domain.text)) continue;
            all_.deliveries.push_back(delivery);
            all_.deliveries.back().directory = all_.networks.size();
        }
        for (const auto& [key, why] : from.unreadable) {
            if (!key.starts_with(kDeliveryPrefix)) continue;
            std::string domain = key.substr(kDeliveryPrefix.size());
            if (owns(domain)) all_.unreadable_deliveries.insert(std::move(domain));
        }
    }

    static void note_misplaced(Network& network, std::string what) {
        ++network.misplaced;
        if (network.misplaced_first.size() < Network::kMostNamed) {
            network.misplaced_first.push_back(std::move(what));
        }
    }

    static void note_refusal(Network& network, const DomainName& domain) {
        ++network.refused;
        if (network.refused_first.size() < Network::kMostNamed) {
            network.refused_first.push_back(domain);
        }
    }

    void note_misfit(const TopologyParts& from, const DomainName& domain) {
        const auto misfit = from.misfits.find(domain.text);
        if (misfit != from.misfits.end()) all_.misfits.insert(*misfit);
    }

    void note_conflict(const DomainName& domain, std::size_t owner, const std::string& suffix) {
        const auto [known, is_new] = conflicts_.try_emplace(domain.text, all_.conflicts.size());
        if (is_new) all_.conflicts.push_back({domain, {all_.networks[owner].name}});
        all_.conflicts[known->second].networks.push_back(suffix.substr(1));
    }

    void take_exits(const TopologyParts& parts, const NetworkParts& from, Network& network) {
        std::set<std::string> seen;
        for (const Node& node : parts.nodes) {
            if (node.revoked) continue;
            for (const std::string& listener : node.smtp) {
                auto server = exit_server(listener, node, network.suffix);
                if (!server || !seen.insert(listener).second) continue;
                if (!from.admission.local_addresses && is_local(server->host)) {
                    note_misplaced(network, node.name.text + " (" + listener + ")");
                    continue;
                }
                network.exits.push_back(server->name);
                all_.servers.push_back(std::move(*server));
            }
        }
    }

    TopologyParts all_;
    std::unordered_map<std::string, std::size_t> owners_;     ///< of domains
    std::unordered_map<std::string, std::size_t> conflicts_;  ///< their places
};

}  // namespace

TopologyParts merge(const std::vector<NetworkParts>& networks) { return Merger().merge(networks); }

std::string text_of(const DomainConflict& conflict) {
    const auto shown = [](const std::string& network) {
        return network.empty() ? std::string("the own cluster") : "network " + network;
    };
    std::string others;
    for (std::size_t i = 1; i < conflict.networks.size(); ++i) {
        (others += others.empty() ? "" : ", ") += shown(conflict.networks[i]);
    }
    return "is taken from " + shown(conflict.networks.front()) + " and is in " + others + ", too";
}

}  // namespace muster::cluster
