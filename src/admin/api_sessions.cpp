// Sessions of the whole cluster: list, kick; and what nodes ask each other for it.

#include <array>
#include <thread>

#include "admin/api.h"
#include "admin/fan_out.h"
#include "admin/peer_answers.h"
#include "cluster/entry_codec.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kMostListed = 100'000;
constexpr std::chrono::milliseconds kPatience{5'000};
constexpr std::size_t kLongestSession = 1'024;  // bytes of one in a list
constexpr std::chrono::milliseconds kReplicaPatience{10'000};
constexpr std::chrono::milliseconds kLook{20};

using Get = std::function<Result<std::string>(const char*)>;

Result<cluster::SessionFilter> filter_from(const Get& get) {
    cluster::SessionFilter filter;
    for (const auto& [field, into] : std::initializer_list<std::pair<const char*, std::string*>>{
             {"id", &filter.id.text},
             {"account", &filter.account.text},
             {"account_id", &filter.account_id.text},
             {"server", &filter.server.text}}) {
        auto text = get(field);
        if (!text) return std::unexpected(text.error());
        *into = std::move(*text);
    }
    const auto client = get("client");
    if (!client) return std::unexpected(client.error());
    if (!client->empty()) {
        const auto address = IpAddress::parse(*client);
        if (!address) return std::unexpected(address.error());
        filter.client = *address;
    }
    const auto service = get("service");
    if (!service) return std::unexpected(service.error());
    if (!service->empty()) {
        filter.service = cluster::service_from(*service);
        if (!filter.service) return fail(ErrorKind::Syntax, "no such service: " + *service);
    }
    return filter;
}

Result<cluster::SessionFilter> filter_of_query(const ApiCall& call) {
    return filter_from([&call](const char* field) -> Result<std::string> {
        return net::query_value(call.query, field).value_or("");
    });
}

Result<cluster::SessionFilter> filter_of_body(const ApiCall& call) {
    return filter_from([&call](const char* field) { return text_field(call.body, field); });
}

bool is_empty(const cluster::SessionFilter& filter) {
    return filter.id.empty() && filter.account.empty() && filter.account_id.empty() &&
           filter.server.empty() && !filter.client && !filter.service;
}

std::int64_t seconds(std::chrono::system_clock::time_point time) {
    return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

json shown(const NodeContext& node, const cluster::SessionInfo& session) {
    return {{"id", session.id.text},           {"node", node.config.node.name.text},
            {"account", session.account.text}, {"service", name(session.service)},
            {"client", session.client.text()}, {"server", session.server.text},
            {"since", seconds(session.since)}, {"tls", session.tls}};
}

ApiResult list_sessions(NodeContext& node, ApiCall& call) {
    const auto filter = filter_of_query(call);
    if (!filter) return std::unexpected(filter.error());
    const std::size_t limit = query_number(call, "limit", 10'000, kMostListed);
    json list = json::array();
    json unreachable = json::array();
    if (node.sessions != nullptr) {
        for (const auto& one : node.sessions->list(*filter, limit)) {
            list.push_back(shown(node, one.info));
        }
    }
    if (!is_about_this_node(call)) {
        net::HttpCall out{"GET", "/v1/sessions?here=1&" + call.query};
        for (PeerAnswer& one : ask_all(
                 *node.peers, out, {kPatience, 4096 + limit * kLongestSession}, tells_sessions)) {
            if (!one.answer) {
                unreachable.push_back(one.peer.name.text);
                continue;
            }
            for (json& session : (*one.answer)["sessions"]) {
                session["node"] = one.peer.name.text;
                list.push_back(std::move(session));
            }
        }
    }
    return json{{"sessions", std::move(list)}, {"unreachable", std::move(unreachable)}};
}

/// Kicks on this node alone; masters and back ends ask for it, and front ends for an administrator.
ApiResult kick_here(NodeContext& node, ApiCall& call) {
    if (!(call.caller.is_node ? call.caller.may_end : call.caller.may_write)) {
        return fail(ErrorKind::Refused, call.caller.name +
                                            " may not end sessions here: at a front end, say who "
                                            "you are (--user NAME)");
    }
    const auto filter = filter_of_body(call);
    if (!filter) return std::unexpected(filter.error());
    if (is_empty(*filter)) return fail(ErrorKind::Syntax, "say which sessions");
    const std::string reason = text_field(call.body, "reason").value_or("kicked");
    return json{{"kicked", node.hooks.kick ? node.hooks.kick(*filter, reason) : 0}};
}

ApiResult kick(NodeContext& node, ApiCall& call) {
    auto here = kick_here(node, call);
    if (!here) return here;
    std::size_t kicked = here->value("kicked", std::size_t{0});
    json unreachable = json::array();
    json refused = json::object();
    net::HttpCall out{"POST", "/v1/kick"};
    out.body = state::json_line(call.body);
    speak_for(node, call.caller, out);
    call.audit.object = state::json_line(call.body);
    for (const PeerAnswer& one : ask_all(*node.peers, out, {kPatience}, tells_kicked)) {
        if (one.answer) {
            kicked += one.answer->value("kicked", std::size_t{0});
        } else if (one.answer.error().kind == ErrorKind::Refused) {
            refused[one.peer.name.text] = one.answer.error().detail;
        } else {
            unreachable.push_back(one.peer.name.text);
        }
    }
    return json{{"kicked", kicked}, {"unreachable", unreachable}, {"refused", refused}};
}

/// Waits until this node's replica refuses the account, so that nothing is opened anew while the
/// rest is being ended.
void wait_for_refusal(NodeContext& node, const cluster::Account& account) {
    cluster::Directory directory(*node.topology);
    const auto until = std::chrono::steady_clock::now() + kReplicaPatience;
    while (!node.stopping && std::chrono::steady_clock::now() < until) {
        const auto seen = directory.account(account.address);
        if (!seen) return;
        const bool serves = *seen && !(*seen)->disabled && (*seen)->id == account.id &&
                            (*seen)->home == account.home;
        if (!serves) return;
        std::this_thread::sleep_for(kLook);
    }
}

ApiResult end_account(NodeContext& node, ApiCall& call) {
    if (!call.caller.may_end) {
        return fail(ErrorKind::Refused, "for masters and back ends of the cluster");
    }
    const auto address = text_field(call.body, "address");
    if (!address || !call.body.contains("account")) return fail(ErrorKind::Syntax, "no account");
    const auto account = cluster::decode_account(*address, state::json_line(call.body["account"]));
    if (!account) return std::unexpected(account.error());
    if (!node.hooks.end_account) return fail(ErrorKind::Refused, "not a back end");
    wait_for_refusal(node, *account);
    if (auto ended = node.hooks.end_account(*account); !ended) {
        return std::unexpected(ended.error());
    }
    return json{{"ended", account->address.text}};
}

ApiResult authenticate(NodeContext& node, ApiCall& call) {
    if (!call.caller.is_node) return fail(ErrorKind::Refused, "for members of the cluster");
    if (!node.hooks.authenticate) return fail(ErrorKind::Refused, "not a back end");
    return node.hooks.authenticate(call.body);
}

constexpr std::array kRoutes{
    ApiRoute{"GET", "/v1/sessions", RunsOn::AnyNode, "", list_sessions, Takes::AsksNodes},
    ApiRoute{"POST", "/v1/sessions/kick", RunsOn::AnyNode, "session kick", kick, Takes::AsksNodes},
    ApiRoute{"POST", "/v1/kick", RunsOn::AnyNode, "", kick_here},
    ApiRoute{"POST", "/v1/end-account", RunsOn::AnyNode, "", end_account, Takes::Long},
    ApiRoute{"POST", "/v1/authenticate", RunsOn::AnyNode, "", authenticate, Takes::Judges},
};

}  // namespace

std::span<const ApiRoute> session_routes() { return kRoutes; }

}  // namespace muster::admin
