#include "cluster/topology_merge.h"

#include <optional>
#include <set>
#include <unordered_map>

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

Domain as_followed(Domain domain, std::size_t directory, const std::string& suffix) {
    domain.directory = directory;
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
        if (network.filled) take_domains(*from.parts, from.mode, network.suffix);
        if (network.filled && from.mode != SourceMode::Relay) take_deliveries(*from.parts);
        if (network.filled && from.mode == SourceMode::Relay) {
            for (const Server& server : from.parts->servers) {
                all_.servers.push_back(as_followed(server, network.suffix, from.authority));
            }
            if (from.hand_to == HandTo::Master) take_exits(*from.parts, network);
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
    }

    void take_domains(const TopologyParts& from, SourceMode mode, const std::string& suffix) {
        const std::size_t directory = all_.networks.size();
        for (const Domain& domain : from.domains) {
            if (!is_taken(domain, mode)) continue;
            const auto [first, is_new] = owners_.try_emplace(domain.name.text, directory);
            if (is_new) {
                all_.domains.push_back(as_followed(domain, directory, suffix));
                note_misfit(from, domain.name);
            } else {
                note_conflict(domain.name, first->second, suffix);
            }
        }
    }

    /// Each belongs to the domain of its own directory.
    void take_deliveries(const TopologyParts& from) {
        for (const DeliveryCredential& delivery : from.deliveries) {
            const auto owner = owners_.find(delivery.domain.text);
            if (owner == owners_.end() || owner->second != all_.networks.size()) continue;
            all_.deliveries.push_back(delivery);
            all_.deliveries.back().directory = owner->second;
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

    void take_exits(const TopologyParts& from, Network& network) {
        std::set<std::string> seen;
        for (const Node& node : from.nodes) {
            if (node.revoked) continue;
            for (const std::string& listener : node.smtp) {
                auto server = exit_server(listener, node, network.suffix);
                if (!server || !seen.insert(listener).second) continue;
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
