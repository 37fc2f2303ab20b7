#include "backend/mail_exits.h"

#include <algorithm>

namespace muster::backend {
namespace {

bool is_loopback(std::string_view exit) {
    if (exit.starts_with("localhost:")) return true;
    const auto endpoint = Endpoint::parse(exit);
    return endpoint && endpoint->address.is_loopback();
}

bool is_on_one_machine(const cluster::Topology& topology, const ServerName& server) {
    const cluster::ServerView* dovecot = topology.server(server.view());
    if (dovecot == nullptr) return false;
    const auto address = IpAddress::parse(dovecot->server.host);
    return address && address->is_loopback();
}

void add(std::vector<std::string>& exits, const std::vector<std::string>& more, bool loopback) {
    for (const std::string& exit : more) {
        if (!loopback && is_loopback(exit)) continue;
        if (std::ranges::find(exits, exit) == exits.end()) exits.push_back(exit);
    }
}

}  // namespace

std::vector<std::string> mail_exits(const cluster::Topology& topology,
                                    const ExitSettings& settings) {
    if (!settings.fixed.empty()) return settings.fixed;
    const bool loopback = is_on_one_machine(topology, settings.server);
    std::vector<std::string> open;
    std::vector<std::string> draining;
    for (const cluster::Node& node : topology.parts().nodes) {
        if (node.revoked) continue;
        auto& exits = node.admin == cluster::AdminState::Up ? open : draining;
        const bool is_self = node.name == settings.node;
        add(exits, is_self ? settings.own : node.smtp, is_self || loopback);
    }
    return open.empty() ? draining : open;
}

std::vector<std::string> ExitTurns::next(const std::vector<std::string>& exits, Time now) {
    std::erase_if(resting_, [&](const auto& one) {
        return std::ranges::find(exits, one.first) == exits.end();
    });
    std::vector<std::string> awake;
    std::vector<std::string> asleep;
    for (const std::string& exit : exits) {
        const auto found = resting_.find(exit);
        const bool rests = found != resting_.end() && now < found->second;
        (rests ? asleep : awake).push_back(exit);
    }
    if (!awake.empty()) {
        const auto first = static_cast<std::ptrdiff_t>(turn_++ % awake.size());
        std::ranges::rotate(awake, awake.begin() + first);
    }
    awake.insert(awake.end(), asleep.begin(), asleep.end());
    return awake;
}

bool ExitTurns::failed(const std::string& exit, Time now) {
    return resting_.insert_or_assign(exit, now + kRest).second;
}

bool ExitTurns::worked(const std::string& exit) { return resting_.erase(exit) != 0; }

bool is_welcome(std::string_view greeting) {
    return greeting.starts_with("220") && greeting.size() > 3 &&
           (greeting[3] == ' ' || greeting[3] == '-' || greeting[3] == '\r' || greeting[3] == '\n');
}

}  // namespace muster::backend
