#include "admin/smtp_listeners.h"

#include <algorithm>
#include <ranges>

#include "admin/reload.h"
#include "base/log.h"
#include "cluster/directory_writer.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"

namespace muster::admin {
namespace {

constexpr std::size_t kMostListeners = 8;

std::string host_of(std::string_view address) {
    return std::string(address.substr(0, address.rfind(':')));
}

}  // namespace

std::string told_smtp_listeners(const NodeConfig& config) {
    std::string told;
    for (const ListenerSettings& listener : config.listeners) {
        if (listener.protocol != "smtp" || listener.tls == "implicit") continue;
        const auto endpoint = Endpoint::parse(listener.address);
        if (!endpoint || endpoint->port == 0) continue;
        told += (told.empty() ? "" : " ") + endpoint->text();
    }
    return told.empty() ? "none" : told;
}

std::vector<std::string> smtp_listeners_from(std::string_view told, std::string_view host) {
    std::vector<std::string> listeners;
    for (const auto word : told | std::views::split(' ')) {
        const auto endpoint = Endpoint::parse(std::string_view(word.begin(), word.end()));
        if (!endpoint || endpoint->port == 0 || listeners.size() == kMostListeners) continue;
        const bool is_anywhere = endpoint->address.is_unspecified();
        if (is_anywhere && host.empty()) continue;
        const std::string text = is_anywhere
                                     ? std::string(host) + ":" + std::to_string(endpoint->port)
                                     : endpoint->text();
        if (std::ranges::find(listeners, text) == listeners.end()) listeners.push_back(text);
    }
    return listeners;
}

SmtpListeners::Told SmtpListeners::unwritten(Told told) {
    const NodeConfig& config = node_.config;
    told[config.node.name] =
        smtp_listeners_from(told_smtp_listeners(config), host_of(config.cluster.advertise));
    const auto topology = node_.topology->current();
    std::erase_if(told, [&](const auto& one) {
        const cluster::Node* entry = topology->node(one.first.text);
        if (entry == nullptr || entry->revoked || entry->smtp == one.second) return true;
        // A follower of another network must not draw this one's mail to itself.
        if (entry->scope <= cluster::NodeScope::Relay) return true;
        const auto tried = tried_.find(one.first);
        return tried != tried_.end() && tried->second == one.second;
    });
    for (const auto& [name, listeners] : told) tried_[name] = listeners;
    return told;
}

void SmtpListeners::write(const Told& told) {
    cluster::DirectoryWriter writer(*node_.directory);
    for (const auto& [name, listeners] : told) {
        const auto entry = node_.directory->get(cluster::node_key(name));
        if (!entry || !*entry) continue;
        auto changed = cluster::decode_node(name.view(), (*entry)->value);
        if (!changed) continue;
        changed->smtp = listeners;
        const auto written = writer.put(*changed, (*entry)->revision);
        const std::string text = listed(listeners);
        if (written) {
            log::info("smtp-listeners", {{"of", name}, {"at", text.empty() ? "none" : text}});
        } else {
            log::warning("smtp-listeners-unwritten",
                         {{"of", name}, {"reason", written.error().detail}});
        }
    }
}

}  // namespace muster::admin
