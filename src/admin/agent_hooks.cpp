#include "admin/agent_hooks.h"

#include "admin/api.h"
#include "admin/peers.h"
#include "base/base64.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "net/run_on.h"

namespace muster::admin {
namespace {

using backend::AuthStep;
using nlohmann::json;

constexpr std::size_t kMaxSaslMessage = 16384;

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

constexpr std::array kRoutes{
    ApiRoute{"PUT", "/v1/shared-acl/{}/{}", RunsOn::Master, "share set", set_share},
    ApiRoute{"DELETE", "/v1/shared-acl/{}/{}", RunsOn::Master, "share remove", set_share},
};

Task<Result<>> write_share(NodeContext& node, std::string to, std::string from,
                           std::optional<std::string> value) {
    ApiCall call;
    call.method = value ? "PUT" : "DELETE";
    call.path = "/v1/shared-acl/" + net::percent_encoded(to) + "/" + net::percent_encoded(from);
    if (value) call.body = {{"value", *value}};
    call.caller = {"node:" + node.config.node.name.text, "dovecot", true, {}, true};
    const auto run = [&node, &call] { return run_call(node, std::move(call)); };
    const net::HttpResponse response = co_await net::Blocking(*node.control, *node.pool, run);
    if (response.status < 300) co_return Result<>{};
    co_return fail(ErrorKind::Unavailable, "unavailable", response.body);
}

// ---- authenticate

Result<std::string> bytes_field(const json& object, const char* field) {
    auto text = text_field(object, field);
    if (!text) return text;
    auto bytes = base64_decode(*text, kMaxSaslMessage);
    if (!bytes) return fail(ErrorKind::Syntax, std::string(field) + " must be base64");
    return bytes;
}

Result<backend::AuthenticateRequest> request_from(const json& body) {
    backend::AuthenticateRequest request;
    auto mechanism = text_field(body, "mechanism");
    auto service = text_field(body, "service");
    auto session = text_field(body, "session");
    auto client = text_field(body, "client");
    for (const auto* each : {&mechanism, &service, &session, &client}) {
        if (!*each) return std::unexpected(each->error());
    }
    request.mechanism = std::move(*mechanism);
    request.service = std::move(*service);
    request.session_id = std::move(*session);
    if (!client->empty()) {
        auto endpoint = Endpoint::parse(*client);
        if (!endpoint) return std::unexpected(endpoint.error());
        request.client = *endpoint;
    }
    if (body.contains("initial")) {
        auto initial = bytes_field(body, "initial");
        if (!initial) return std::unexpected(initial.error());
        request.initial = std::move(*initial);
    }
    return request;
}

struct StepToJson {
    json operator()(const backend::AuthChallenge& step) const {
        return {
            {"step", "challenge"}, {"exchange", step.exchange}, {"data", base64_encode(step.data)}};
    }
    json operator()(const backend::AuthAccepted& step) const {
        return {
            {"step", "accepted"}, {"account", step.account}, {"data", base64_encode(step.data)}};
    }
    json operator()(const backend::AuthRefused& step) const {
        return {{"step", "refused"}, {"temporary", step.temporary}};
    }
};

/// On the loop: one step of an exchange; with "token_for", a success brings a one-use token for
/// that service of the account, by which the calling node logs in there.
Task<Result<json>> authenticate(backend::Agent& agent, json body) {
    const bool is_first = !body.contains("exchange");
    Result<AuthStep> step = fail(ErrorKind::Syntax, "no mechanism and no exchange");
    if (is_first) {
        auto request = request_from(body);
        if (!request) co_return std::unexpected(request.error());
        step = co_await agent.authenticate().begin(std::move(*request));
    } else {
        auto exchange = text_field(body, "exchange");
        auto data = bytes_field(body, "data");
        if (!exchange) co_return std::unexpected(exchange.error());
        if (!data) co_return std::unexpected(data.error());
        step = co_await agent.authenticate().answer(std::move(*exchange), std::move(*data));
    }
    if (!step) co_return std::unexpected(step.error());
    json answer = std::visit(StepToJson{}, *step);
    const auto* accepted = std::get_if<backend::AuthAccepted>(&*step);
    const auto service = text_field(body, "token_for");
    if (accepted == nullptr || !service || service->empty()) co_return answer;
    const auto token = agent.issue_token(accepted->account, *service);
    if (!token) co_return std::unexpected(token.error());
    answer["token"] = {{"id", token->id}, {"secret", token->secret}};
    co_return answer;
}

}  // namespace

std::span<const ApiRoute> agent_routes() { return kRoutes; }

backend::ShareWriter share_writer(NodeContext& node) {
    return [&node](std::string to, std::string from, std::optional<std::string> value) {
        return write_share(node, std::move(to), std::move(from), std::move(value));
    };
}

void offer_agent(NodeContext& node, backend::Agent& agent) {
    net::Loop& loop = *node.control;
    node.hooks.authenticate = [&loop, &agent](const json& body) {
        return net::run_on<Result<json>>(loop,
                                         [&agent, body] { return authenticate(agent, body); });
    };
    node.hooks.end_account = [&loop, &agent](const cluster::Account& account) -> Result<> {
        const auto ended = net::run_on<Result<std::size_t>>(
            loop, [&agent, address = account.address.text] { return agent.kick(address); });
        if (!ended) return std::unexpected(ended.error());
        return {};
    };
}

}  // namespace muster::admin
