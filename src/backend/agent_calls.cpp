#include "backend/agent_calls.h"

#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "net/run_on.h"

namespace muster::backend {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxMessage = 12'000;
constexpr std::size_t kMaxName = 255;

Result<std::string> text_of(const json& object, const char* name, std::size_t limit) {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_string())
        return fail(ErrorKind::Syntax, std::string(name) + " is missing");
    auto text = found->get<std::string>();
    if (text.size() > limit) return fail(ErrorKind::Limit, std::string(name) + " is too long");
    return text;
}

Result<std::string> message_of(const json& object, const char* name) {
    const auto text = text_of(object, name, 2 * kMaxMessage);
    if (!text) return std::unexpected(text.error());
    return base64_decode(*text, kMaxMessage);
}

// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters): it never suspends
Task<Result<Token>> issue(Agent& agent, std::string account, std::string service) {
    co_return agent.issue_token(account, service);
}

Task<std::optional<Probe>> find_probe(Agent& agent, std::string name) {
    co_return agent.probe(name);
}

}  // namespace

Result<std::size_t> AgentCalls::end_sessions(const std::string& address) {
    return net::run_on<Result<std::size_t>>(loop_, [&] { return agent_.kick(address); });
}

Result<json> AgentCalls::issue_token(const json& request) {
    const auto account = text_of(request, "account", kMaxName);
    if (!account) return std::unexpected(account.error());
    const auto service = text_of(request, "service", kMaxName);
    if (!service) return std::unexpected(service.error());
    const auto token =
        net::run_on<Result<Token>>(loop_, [&] { return issue(agent_, *account, *service); });
    if (!token) return std::unexpected(token.error());
    return json{{"id", token->id}, {"secret", token->secret}};
}

Result<json> AgentCalls::probe(const std::string& name) {
    const auto probe =
        net::run_on<std::optional<Probe>>(loop_, [&] { return find_probe(agent_, name); });
    if (!probe) return fail(ErrorKind::NotFound, "its Dovecot asked for no such login");
    return json{{"client", probe->client}, {"session", probe->session}};
}

Result<json> AgentCalls::authenticate(const json& request) {
    if (!request.is_object()) return fail(ErrorKind::Syntax, "not an object");
    Result<AuthStep> step = AuthRefused{};
    if (request.contains("exchange")) {
        const auto exchange = text_of(request, "exchange", kMaxName);
        if (!exchange) return std::unexpected(exchange.error());
        const auto data = message_of(request, "data");
        if (!data) return std::unexpected(data.error());
        step = net::run_on<Result<AuthStep>>(
            loop_, [&] { return agent_.authenticate().answer(*exchange, *data); });
    } else {
        auto begin = authenticate_request(request);
        if (!begin) return std::unexpected(begin.error());
        step = net::run_on<Result<AuthStep>>(
            loop_, [&] { return agent_.authenticate().begin(std::move(*begin)); });
    }
    if (!step) return std::unexpected(step.error());
    return to_json(*step);
}

Result<AuthenticateRequest> authenticate_request(const json& request) {
    AuthenticateRequest result;
    const auto mechanism = text_of(request, "mechanism", kMaxName);
    if (!mechanism) return std::unexpected(mechanism.error());
    const auto service = text_of(request, "service", kMaxName);
    if (!service) return std::unexpected(service.error());
    result.mechanism = *mechanism;
    result.service = *service;
    if (request.contains("initial")) {
        auto initial = message_of(request, "initial");
        if (!initial) return std::unexpected(initial.error());
        result.initial = std::move(*initial);
    }
    if (request.contains("client")) {
        const auto text = text_of(request, "client", kMaxName);
        const auto client = text ? Endpoint::parse(*text) : fail(ErrorKind::Syntax, "client");
        if (!client) return std::unexpected(client.error());
        result.client = *client;
    }
    if (request.contains("session")) {
        auto session = text_of(request, "session", kMaxName);
        if (!session) return std::unexpected(session.error());
        result.session_id = std::move(*session);
    }
    return result;
}

json to_json(const AuthStep& step) {
    if (const auto* challenge = std::get_if<AuthChallenge>(&step))
        return {{"state", "challenge"},
                {"exchange", challenge->exchange},
                {"data", base64_encode(challenge->data)}};
    if (const auto* accepted = std::get_if<AuthAccepted>(&step))
        return {{"state", "accepted"},
                {"account", accepted->account},
                {"data", base64_encode(accepted->data)}};
    return {{"state", "refused"}, {"temporary", std::get<AuthRefused>(step).temporary}};
}

}  // namespace muster::backend
