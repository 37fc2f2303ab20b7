#include "admin/agent_hooks.h"

#include "admin/api.h"
#include "admin/peers.h"
#include "backend/agent_calls.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"

namespace muster::admin {
namespace {

using nlohmann::json;

// ---- shares

ApiResult set_share(NodeContext& node, ApiCall& call) {
    const std::string key = cluster::shared_acl_key(call.names[0], call.names[1]);
    state::Transaction transaction;
    if (call.method == "DELETE") {
        transaction.remove(key);
    } else {
        auto value = text_field(call.body, "value");
        if (!value) return std::unexpected(value.error());
        transaction.put(key, cluster::encode_shared_acl(*value));
    }
    call.audit.object = key;
    if (auto done = node.directory->commit(transaction); !done) {
        return std::unexpected(done.error());
    }
    return json{{"key", key}};
}

// ---- probes

ApiResult show_probe(NodeContext& node, ApiCall& call) {
    if (!call.caller.is_node) return fail(ErrorKind::Refused, "for members of the cluster");
    if (!node.hooks.probe) return fail(ErrorKind::Refused, "not a back end");
    return node.hooks.probe(call.names[0]);
}

constexpr std::array kRoutes{
    ApiRoute{"GET", "/v1/probes/{}", RunsOn::AnyNode, "", show_probe},
    ApiRoute{"PUT", "/v1/shared-acl/{}/{}", RunsOn::Master, "share set", set_share},
    ApiRoute{"DELETE", "/v1/shared-acl/{}/{}", RunsOn::Master, "share remove", set_share},
};

// The node outlives what its agent asks for.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<Result<>> write_share(NodeContext& node, std::string to, std::string from,
                           std::optional<std::string> value) {
    ApiCall call;
    call.method = value ? "PUT" : "DELETE";
    call.path = "/v1/shared-acl/" + net::percent_encoded(to) + "/" + net::percent_encoded(from);
    if (value) call.body = {{"value", *value}};
    call.caller = {"node:" + node.config.node.name.text, "dovecot", true, {}, false};
    const net::HttpResponse response = co_await run_patiently(node, std::move(call));
    if (response.status < 300) co_return Result<>{};
    co_return fail(ErrorKind::Unavailable, "unavailable", response.body);
}

// ---- authenticate

/// One step of an exchange; with "token_for", a success brings a one-use token for that service
/// of the account, by which the calling node logs in there.
Result<json> authenticate(backend::AgentCalls calls, const json& body) {
    auto answer = calls.authenticate(body);
    if (!answer || answer->value("state", "") != "accepted") return answer;
    const auto service = text_field(body, "token_for");
    if (!service || service->empty()) return answer;
    auto token = calls.issue_token({{"account", (*answer)["account"]}, {"service", *service}});
    if (!token) return token;
    (*answer)["token"] = std::move(*token);
    return answer;
}

}  // namespace

std::span<const ApiRoute> agent_routes() { return kRoutes; }

backend::ShareWriter share_writer(NodeContext& node) {
    return [&node](std::string to, std::string from, std::optional<std::string> value) {
        return write_share(node, std::move(to), std::move(from), std::move(value));
    };
}

void offer_agent(NodeContext& node, backend::Agent& agent) {
    const backend::AgentCalls calls(*node.control, agent);
    node.hooks.authenticate = [calls](const json& body) { return authenticate(calls, body); };
    node.hooks.probe = [calls](const std::string& login) {
        backend::AgentCalls own = calls;
        return own.probe(login);
    };
    node.hooks.end_account = [calls](const cluster::Account& account) -> Result<> {
        backend::AgentCalls own = calls;
        const auto ended = own.end_sessions(account.address.text);
        if (!ended) return std::unexpected(ended.error());
        return {};
    };
}

}  // namespace muster::admin
