#include "cluster/topology.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "cluster/json_fields.h"

namespace muster::cluster {
namespace {

template <typename Index>
auto look_up(const Index& index, std::string_view name) -> typename Index::mapped_type {
    const auto found = index.find(name);
    return found == index.end() ? nullptr : found->second;
}

}  // namespace

Topology::Topology(TopologyParts parts, HealthTable& health) : parts_(std::move(parts)) {
    servers_.reserve(parts_.servers.size());
    for (const Server& server : parts_.servers) {
        servers_.push_back({server, health.of(server.name), std::nullopt});
    }
    for (ServerView& view : servers_) servers_by_name_.emplace(view.server.name.text, &view);
    for (const Credential& credential : parts_.credentials) {
        const auto found = servers_by_name_.find(credential.server.text);
        if (found == servers_by_name_.end()) continue;
        servers_[static_cast<std::size_t>(found->second - servers_.data())].credential = credential;
    }
    for (const Node& node : parts_.nodes) nodes_by_name_.emplace(node.name.text, &node);
    for (const Setting& setting : parts_.settings)
        settings_by_name_.emplace(setting.name, &setting);
    for (const DeliveryCredential& delivery : parts_.deliveries) {
        deliveries_by_domain_.emplace(delivery.domain.text, &delivery);
    }
    // Where two domains claim an address or a name, the first has it: the own cluster's before
    // others', then by name.
    for (const Domain& domain : parts_.domains) {
        domains_by_name_.emplace(domain.name.text, &domain);
        for (const IpAddress& address : domain.addresses) {
            domains_by_address_.emplace(address, &domain);
        }
        for (const DomainName& name : domain.tls_names) {
            domains_by_tls_name_.emplace(name.text, &domain);
        }
    }
}

const Domain* Topology::domain(std::string_view name) const {
    return look_up(domains_by_name_, name);
}
const ServerView* Topology::server(std::string_view name) const {
    return look_up(servers_by_name_, name);
}
const Node* Topology::node(std::string_view name) const { return look_up(nodes_by_name_, name); }

const Network* Topology::network_at(const ServerName& home) const {
    if (!home.text.starts_with('@')) return nullptr;
    const auto found = std::ranges::find(parts_.networks, home.text, &Network::suffix);
    return found == parts_.networks.end() ? nullptr : &*found;
}

const Domain* Topology::domain_of(const IpAddress& local) const {
    const auto found = domains_by_address_.find(local);
    return found == domains_by_address_.end() ? nullptr : found->second;
}

const Domain* Topology::domain_of_tls_name(std::string_view tls_name) const {
    if (domains_by_tls_name_.empty() || tls_name.empty()) return nullptr;
    const auto name = parse_domain(tls_name);
    return name ? look_up(domains_by_tls_name_, name->text) : nullptr;
}

const DeliveryCredential* Topology::delivery(std::string_view domain) const {
    return look_up(deliveries_by_domain_, domain);
}

const SharedSecret* Topology::secret(std::string_view name) const {
    const auto found = std::ranges::find(parts_.secrets, name, &SharedSecret::name);
    return found == parts_.secrets.end() ? nullptr : &*found;
}

std::string_view Topology::setting(std::string_view name) const {
    const Setting* found = look_up(settings_by_name_, name);
    return found ? std::string_view(found->value) : std::string_view{};
}

std::uint64_t Topology::setting_number(std::string_view name, std::uint64_t otherwise) const {
    const std::string_view text = setting(name);
    std::uint64_t value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size();
    return whole && !text.empty() ? value : otherwise;
}

std::string Topology::setting_text(std::string_view name, std::string_view otherwise) const {
    const auto value = parse_value(setting(name));
    return value && value->is_string() ? value->get<std::string>() : std::string(otherwise);
}

std::string first_names(const Network& network) {
    std::string names;
    for (const DomainName& domain : network.refused_first) {
        (names += names.empty() ? "" : ", ") += domain.text;
    }
    return network.refused > network.refused_first.size() ? names + ", …" : names;
}

const Domain* context_domain(const Topology& topology, const LoginContext& context) {
    const std::array dedicated{topology.domain_of(context.local),
                               topology.domain_of_tls_name(context.tls_name)};
    for (const Domain* domain : dedicated) {
        if (domain != nullptr && domain->directory == 0) return domain;
    }
    if (!context.default_domain.empty()) return topology.domain(context.default_domain);
    return dedicated[0] != nullptr ? dedicated[0] : dedicated[1];
}

}  // namespace muster::cluster
