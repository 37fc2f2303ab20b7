#include "admin/peer_verifier.h"

#include "admin/api.h"
#include "admin/fan_out.h"
#include "admin/json_fields.h"
#include "admin/peers.h"
#include "base/base64.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using frontend::SaslStep;
using frontend::VerifyRequest;
using frontend::VerifyStep;
using nlohmann::json;

constexpr std::chrono::milliseconds kPatience{15'000};  // for one step, however many judges
constexpr std::size_t kMostWaiting = 4;                 // half of Pools::verifying
constexpr std::chrono::seconds kSlow{2};
constexpr std::size_t kLongestAnswer = 64 * 1024;

std::string_view dovecot_name(cluster::Service service) { return cluster::name(service); }

Result<VerifyStep> step_from(const json& answer, const NodeName& judge) {
    const std::string state = text(answer, "state");
    VerifyStep step;
    if (state == "challenge") {
        step.step = {SaslStep::Kind::Challenge, text(answer, "data")};
        step.exchange = judge.text + "/" + text(answer, "exchange");
        return step;
    }
    if (state == "accepted") {
        step.step = {SaslStep::Kind::Accepted, text(answer, "data")};
        step.account = text(answer, "account");
        if (answer.contains("token")) {
            const json& token = answer["token"];
            step.token = frontend::EntryCredentials{text(token, "id"), text(token, "secret")};
        }
        return step;
    }
    if (state == "refused" && answer.contains("temporary") && answer["temporary"] == false) {
        step.step = {SaslStep::Kind::Denied, {}};
        return step;
    }
    return fail(ErrorKind::Unavailable, "unavailable", "node " + judge.text + " could not judge");
}

}  // namespace

std::vector<NodeName> PeerVerifier::judges(const VerifyRequest& request) const {
    const auto topology = node_.topology->current();
    const cluster::ServerView* home = topology->server(request.home.view());
    if (home != nullptr && !home->server.node.empty()) return {home->server.node};
    std::vector<NodeName> nodes;
    for (const cluster::Node& node : topology->parts().nodes) {
        if (node.scope == cluster::NodeScope::Backend && !node.revoked) nodes.push_back(node.name);
    }
    return nodes;
}

bool PeerVerifier::hangs(const std::string& judge) {
    const std::scoped_lock lock(mutex_);
    const auto& asked = asked_[judge];
    return asked.size() >= kMostWaiting && Clock::now() - *asked.begin() > kSlow;
}

Result<VerifyStep> PeerVerifier::ask(const NodeName& judge, json body, const VerifyRequest& request,
                                     std::chrono::milliseconds patience) {
    if (request.wants_token) body["token_for"] = dovecot_name(request.service);
    Result<json> answer = fail(ErrorKind::Unavailable, "unavailable", "");
    if (judge == node_.config.node.name && node_.hooks.authenticate) {
        answer = node_.hooks.authenticate(body);
    } else {
        const auto peer = node_.peers != nullptr ? node_.peers->find(judge) : std::nullopt;
        if (!peer) {
            return fail(ErrorKind::Unavailable, "unavailable",
                        "node " + judge.text + " is unknown");
        }
        if (hangs(judge.text)) {
            return fail(ErrorKind::Unavailable, "unavailable",
                        "node " + judge.text + " answers too slowly");
        }
        net::HttpCall call{"POST", "/v1/authenticate"};
        call.body = state::json_line(body);
        const auto begun = Clock::now();
        {
            const std::scoped_lock lock(mutex_);
            asked_[judge.text].insert(begun);
        }
        const auto answered = [&](const std::string* name) {
            const std::scoped_lock lock(mutex_);
            auto& asked = asked_[*name];
            asked.erase(asked.find(begun));
        };
        const std::unique_ptr<const std::string, decltype(answered)> waiting(&judge.text, answered);
        answer = body_of(node_.peers->call(*peer, call, {patience}));
    }
    if (!answer) {
        return fail(ErrorKind::Unavailable, "unavailable",
                    "node " + judge.text + ": " + answer.error().detail);
    }
    if (!answer->is_object()) {
        return fail(ErrorKind::Unavailable, "unavailable",
                    "node " + judge.text + " answers nonsense");
    }
    return step_from(*answer, judge);
}

Result<VerifyStep> PeerVerifier::ask_judges(const VerifyRequest& request) {
    const json body = {{"mechanism", wire::sasl::name(request.mechanism)},
                       {"service", dovecot_name(request.service)},
                       {"initial", base64_encode(request.message)},
                       {"client", request.client.text()},
                       {"session", request.session.text}};
    Result<VerifyStep> step =
        fail(ErrorKind::Unavailable, "unavailable", "there is no back end that could judge");
    const auto until = std::chrono::steady_clock::now() + kPatience;
    for (const NodeName& judge : judges(request)) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            until - std::chrono::steady_clock::now());
        if (left.count() <= 0) break;
        step = ask(judge, body, request, left);
        if (step) return step;
    }
    return step;
}

Result<VerifyStep> PeerVerifier::begin(const VerifyRequest& request) {
    try {
        return ask_judges(request);
    } catch (const std::exception& exception) {
        return fail(ErrorKind::Unavailable, "unavailable", exception.what());
    }
}

Result<VerifyStep> PeerVerifier::answer(const VerifyRequest& request, const std::string& exchange,
                                        const std::string& answer) {
    if (!base64_decode(answer, kLongestAnswer)) {
        return fail(ErrorKind::Syntax, "Invalid base64 data.");
    }
    const std::size_t slash = exchange.find('/');
    try {
        return ask(NodeName(exchange.substr(0, slash)),
                   {{"exchange", exchange.substr(slash + 1)}, {"data", answer}}, request,
                   kPatience);
    } catch (const std::exception& exception) {
        return fail(ErrorKind::Unavailable, "unavailable", exception.what());
    }
}

}  // namespace muster::admin
