#include "admin/fan_out.h"

#include <atomic>
#include <set>
#include <thread>

#include "admin/peer_answers.h"
#include "cluster/entry_codec.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kThreads = 8;
constexpr CallBounds kKickBounds{std::chrono::milliseconds(5'000)};
constexpr CallBounds kEndBounds{std::chrono::milliseconds(30'000)};
constexpr std::chrono::seconds kMostEndTime{60};  ///< for the accounts of one call
constexpr std::size_t kMostHomeErrors = 100;

json observed_of(const cluster::ServerView& server) {
    json observed = json::object();
    for (const cluster::Service service : cluster::kServices) {
        if (server.server.service(service) == nullptr) continue;
        observed[std::string(name(service))] = name(server.health->observed(service));
    }
    return observed;
}

/// One word for a table: what the administrator wants, else what the checks of a front end see.
std::string summary(const cluster::ServerView& server) {
    if (server.server.admin != cluster::AdminState::Up) {
        return std::string(name(server.server.admin));
    }
    bool any_up = false;
    for (const cluster::Service service : cluster::kServices) {
        if (server.server.service(service) == nullptr) continue;
        const auto observed = server.health->observed(service);
        if (observed == cluster::Observed::Down) return "down";
        any_up |= observed == cluster::Observed::Up;
    }
    return any_up ? "up" : "unknown";
}

/// A master or a back end checks no servers: what front ends see counts.
void take_observations(json& servers, const json& from) {
    for (json& server : servers) {
        if (server["state"] != "unknown") continue;
        for (const json& seen : from) {
            if (seen.value("name", "") != server.value("name", "")) continue;
            server["state"] = seen.value("state", "unknown");
            server["observed"] = seen.value("observed", json::object());
        }
    }
}

Result<json> end_at_home(NodeContext& node, const cluster::Account& account) {
    const auto topology = node.topology->current();
    const cluster::ServerView* home = topology->server(account.home.text);
    if (home == nullptr || home->server.node.empty()) return json::object();
    if (home->server.node == node.config.node.name) {
        if (!node.hooks.end_account) return json::object();
        if (auto ended = node.hooks.end_account(account); !ended) {
            return std::unexpected(ended.error());
        }
        return json::object();
    }
    const auto peer = node.peers->find(home->server.node);
    if (!peer) return fail(ErrorKind::Unavailable, "the node of its home is not known");
    net::HttpCall call{"POST", "/v1/end-account"};
    const json body{{"address", account.address.text},
                    {"account", state::parse_json(cluster::encode(account))}};
    call.body = state::json_line(body);
    return body_of(node.peers->call(*peer, call, kEndBounds));
}

}  // namespace

Result<json> body_of(const Result<net::HttpReply>& reply) {
    if (!reply) return std::unexpected(reply.error());
    json body = state::parse_json(reply->body);
    if (reply->status >= 200 && reply->status < 300 && !body.is_discarded()) return body;
    std::string why = "status " + std::to_string(reply->status);
    if (body.is_object() && body.contains("error") && body["error"].is_string()) {
        why = body["error"].get<std::string>();
    }
    switch (reply->status) {
        case 400: return fail(ErrorKind::Syntax, why);
        case 401:
        case 403: return fail(ErrorKind::Refused, why);
        case 404: return fail(ErrorKind::NotFound, why);
        case 409: return fail(ErrorKind::Conflict, why);
        case 413:
        case 429: return fail(ErrorKind::Limit, why);
        default: return fail(ErrorKind::Unavailable, why);
    }
}

Result<json> ask(const Peers& peers, const PeerAddress& peer, const net::HttpCall& call,
                 const CallBounds& bounds, Sensible sensible) {
    auto answer = body_of(peers.call(peer, call, bounds));
    if (answer && !sensible(*answer)) {
        return fail(ErrorKind::Unavailable, "node " + peer.name.text + " answers nonsense");
    }
    return answer;
}

std::vector<PeerAnswer> ask_all(const Peers& peers, const net::HttpCall& call,
                                const CallBounds& bounds, Sensible sensible) {
    std::vector<PeerAnswer> answers;
    for (PeerAddress& peer : peers.others()) answers.push_back({std::move(peer), json()});
    std::atomic<std::size_t> next{0};
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < std::min(kThreads, answers.size()); ++i) {
            threads.emplace_back([&] {
                for (std::size_t at = 0; (at = next.fetch_add(1)) < answers.size();) {
                    answers[at].answer = ask(peers, answers[at].peer, call, bounds, sensible);
                }
            });
        }
    }
    return answers;
}

void speak_for(const NodeContext& node, const Caller& caller, net::HttpCall& out) {
    const auto topology = node.topology->current();
    const cluster::Node* self = topology->node(node.config.node.name.text);
    const bool may_itself =
        self != nullptr && (self->master || self->scope == cluster::NodeScope::Backend);
    name_caller(caller, !may_itself, out);
}

json servers_here(const NodeContext& node) {
    json list = json::array();
    const auto topology = node.topology->current();
    for (const cluster::ServerView& server : topology->servers()) {
        list.push_back({{"name", server.server.name.text},
                        {"host", server.server.host},
                        {"kind", name(server.server.kind)},
                        {"admin", name(server.server.admin)},
                        {"state", summary(server)},
                        {"observed", observed_of(server)}});
    }
    return list;
}

json observed_servers(NodeContext& node, const std::vector<PeerAnswer>& statuses) {
    json servers = servers_here(node);
    for (const PeerAnswer& one : statuses) {
        if (one.answer) take_observations(servers, one.answer->value("servers", json::array()));
    }
    return servers;
}

json end_account_everywhere(NodeContext& node, const cluster::Account& account,
                            const std::string& reason) {
    std::size_t kicked = 0;
    json unreachable = json::array();
    cluster::SessionFilter filter;
    filter.account_id = account.id;
    if (node.hooks.kick) kicked += node.hooks.kick(filter, reason);
    net::HttpCall call{"POST", "/v1/kick"};
    call.body = state::json_line(json{{"account_id", account.id.text}, {"reason", reason}});
    for (const PeerAnswer& one : ask_all(*node.peers, call, kKickBounds, tells_kicked)) {
        if (one.answer) {
            kicked += one.answer->value("kicked", std::size_t{0});
        } else {
            unreachable.push_back(one.peer.name.text);
        }
    }
    json result{{"kicked", kicked}, {"unreachable", unreachable}};
    const auto ended = end_at_home(node, account);
    if (!ended) result["home_error"] = ended.error().detail;
    return result;
}

json end_accounts_everywhere(NodeContext& node, const std::vector<cluster::Account>& accounts,
                             const std::string& reason) {
    std::size_t kicked = 0;
    std::set<std::string> unreachable;
    json home_errors = json::object();
    std::size_t count = 0;
    const auto until = std::chrono::steady_clock::now() + kMostEndTime;
    for (; count < accounts.size() && !node.stopping && std::chrono::steady_clock::now() < until;
         ++count) {
        const cluster::Account& account = accounts[count];
        const json ended = end_account_everywhere(node, account, reason);
        kicked += ended.value("kicked", std::size_t{0});
        for (const json& name : ended["unreachable"]) unreachable.insert(name.get<std::string>());
        if (ended.contains("home_error") && home_errors.size() < kMostHomeErrors) {
            home_errors[account.address.text] = ended["home_error"];
        }
    }
    return {{"accounts", count},
            {"kicked", kicked},
            {"unreachable", unreachable},
            {"home_errors", std::move(home_errors)},
            {"left_to_nodes", accounts.size() - count}};
}

}  // namespace muster::admin
