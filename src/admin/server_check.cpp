#include "admin/server_check.h"

#include "admin/fan_out.h"
#include "base/seal.h"
#include "frontend/target_table.h"
#include "frontend/upstream.h"
#include "net/connect.h"
#include "net/run_on.h"
#include "wire/proxy_protocol.h"
#include "wire/sasl.h"

namespace muster::admin {
namespace {

using cluster::Service;
using nlohmann::json;

constexpr std::size_t kLongestLine = 16 * 1024;
constexpr std::size_t kGreetingLines = 50;
constexpr std::chrono::milliseconds kPatience{5'000};
/// Whom the server is told it talks to: an address of the documentation (RFC 5737), so that
/// nobody else is meant by it.
constexpr const char* kClient = "192.0.2.1";

json proof(std::string_view service, std::string_view what, bool ok, std::string detail) {
    return {{"step", std::string(service) + " " + std::string(what)},
            {"ok", ok},
            {"detail", std::move(detail)}};
}

/// Everything that one check needs; lives on the control loop while it runs.
struct Check {
    NodeContext& node;
    const frontend::UpstreamSettings& settings;
    frontend::HostAddresses& hosts;
    std::shared_ptr<const cluster::Topology> topology;
    const cluster::ServerView& server;
    frontend::TargetTable targets;
    json proofs = json::array();

    void add(Service service, std::string_view what, bool ok, std::string detail) {
        proofs.push_back(proof(cluster::name(service), what, ok, std::move(detail)));
    }
};

Task<Result<std::unique_ptr<net::SocketStream>>> connect(Check& check, Service service) {
    const auto address = check.hosts.find(check.server.server.host);
    if (!address) co_return std::unexpected(address.error());
    const std::uint16_t port = check.server.server.service(service)->port;
    auto stream = co_await net::connect(*check.node.control, {*address, port},
                                        check.targets.source(check.server.server),
                                        check.settings.connect_time);
    if (!stream) co_return std::unexpected(stream.error());
    (*stream)->expire_after(check.settings.connect_time);
    if (check.server.server.introduce == cluster::Introduce::Proxy) {
        co_await (*stream)->write(wire::proxy_protocol::write_v2_local());
    }
    co_return std::move(*stream);
}

Task<Result<std::unique_ptr<frontend::Upstream>>> open(Check& check, Service service) {
    const auto target = check.targets.target(check.server, service);
    if (!target) co_return std::unexpected(target.error());
    auto stream = co_await connect(check, service);
    if (!stream) co_return std::unexpected(stream.error());
    auto upstream = frontend::make_upstream(std::move(*stream), *target);
    upstream->stream().expire_after(check.settings.connect_time);
    if (auto opened = co_await upstream->open(); !opened) {
        co_return std::unexpected(opened.error());
    }
    co_return std::move(upstream);
}

/// Greeting and TLS, verified as the server's entry says.
Task<void> prove_greeting(Check& check, Service service) {
    const auto upstream = co_await open(check, service);
    if (!upstream) {
        check.add(service, "answers", false, upstream.error().detail);
        co_return;
    }
    const std::string tls = (*upstream)->stream().tls_description();
    check.add(service, "answers", true, tls.empty() ? "in clear text" : tls + ", verified");
}

/// The greeting as it is: one line, or for ManageSieve lines up to OK.
Task<Result<std::string>> raw_greeting(Check& check, Service service) {
    auto stream = co_await connect(check, service);
    if (!stream) co_return std::unexpected(stream.error());
    const auto target = check.targets.target(check.server, service);
    if (!target) co_return std::unexpected(target.error());
    if ((*target)->tls == cluster::TlsMode::Implicit) {
        auto secured = co_await (*stream)->connect_tls(*(*target)->trust, (*target)->tls_name);
        if (!secured) co_return std::unexpected(secured.error());
    }
    net::LineReader reader(**stream);
    std::string text;
    for (std::size_t i = 0; i < kGreetingLines; ++i) {
        const auto line = co_await reader.line(kLongestLine);
        if (!line) break;
        text += std::string(line->text) + "\n";
        if (service == Service::Pop3 || line->text.starts_with("OK")) break;
    }
    co_return text;
}

/// Dovecot offers XCLIENT to trusted networks alone, and trusts for all protocols or none.
Task<void> prove_trust(Check& check, Service service) {
    const auto greeting = co_await raw_greeting(check, service);
    if (!greeting) {
        check.add(service, "trusts this front end", false, greeting.error().detail);
        co_return;
    }
    const bool trusts = greeting->find("XCLIENT") != std::string::npos;
    check.add(service, "trusts this front end", trusts,
              trusts ? "it takes client addresses and session ids from here"
                     : "no XCLIENT offered: add this front end to login_trusted_networks");
}

/// What the back end beside the server sees of the account now.
json seen_at_home(Check& check, const std::string& account) {
    const json body{{"address", account}};
    if (check.server.server.node == check.node.config.node.name) {
        if (!check.node.hooks.account_processes) return json::array();
        return check.node.hooks.account_processes(account);
    }
    const auto peer = check.node.peers->find(check.server.server.node);
    if (!peer) return json::array();
    net::HttpCall call{"POST", "/v1/account-processes"};
    call.body = body.dump();
    const auto answer = body_of(check.node.peers->call(*peer, call, kPatience));
    return answer ? answer->value("processes", json::array()) : json::array();
}

Task<void> prove_address(Check& check, Service service, const std::string& account,
                         const std::string& session) {
    if (check.server.server.node.empty()) co_return;
    json seen = co_await net::Blocking(*check.node.control, *check.node.pool,
                                       [&] { return seen_at_home(check, account); });
    bool found = false;
    std::string titles;
    for (const json& title : seen) {
        if (!title.is_string()) continue;
        found |= title.get_ref<const std::string&>().find(kClient) != std::string::npos;
        titles += (titles.empty() ? "" : "; ") + title.get<std::string>();
    }
    check.add(service, "sees the client's address", found,
              found ? "its log has session " + session
                    : "not among: " + (titles.empty() ? "nothing" : titles));
}

Task<void> prove_login(Check& check, Service service, const CheckLogin& login) {
    auto upstream = co_await open(check, service);
    const auto message = wire::sasl::write_plain("", login.account, login.password);
    if (!upstream || !message) {
        check.add(service, "logs in", false,
                  upstream ? message.error().detail : upstream.error().detail);
        co_return;
    }
    const std::string session = "check-" + random_name(10);
    const Endpoint client{*IpAddress::parse(kClient), 4321};
    (*upstream)->stream().expire_after(check.settings.login_time);
    const frontend::UpstreamLogin start{
        {client, Endpoint{*IpAddress::parse("192.0.2.2"), 143}, session, 5, {}},
        wire::sasl::Mechanism::Plain,
        *message};
    const auto step = co_await (*upstream)->begin(start);
    const bool accepted = step && step->kind == frontend::SaslStep::Kind::Accepted;
    check.add(service, "logs in", accepted,
              accepted ? login.account
              : step   ? "refused the password"
                       : step.error().detail);
    if (accepted) co_await prove_address(check, service, login.account, session);
}

Task<void> prove_service(Check& check, Service service, const CheckLogin& login) {
    auto reason = net::EndReason::None;
    try {
        co_await prove_greeting(check, service);
        const bool dovecot = check.server.server.kind == cluster::ServerKind::Dovecot;
        const bool tells = service == Service::Pop3 || service == Service::Sieve;
        if (dovecot && tells) co_await prove_trust(check, service);
        if (!login.account.empty()) co_await prove_login(check, service, login);
    } catch (const net::ConversationOver& over) {
        reason = over.reason();
    }
    if (reason != net::EndReason::None) {
        check.add(service, "goes on", false, std::string(net::name(reason)));
    }
}

Task<json> prove(NodeContext& node, const frontend::UpstreamSettings& settings,
                 frontend::HostAddresses& hosts, ServerName name, CheckLogin login) {
    const auto topology = node.topology->current();
    const cluster::ServerView* server = topology->server(name.text);
    if (server == nullptr) co_return json::array();
    Check check{node, settings, hosts, topology, *server, frontend::TargetTable(settings)};
    check.targets.follow(topology);
    for (const Service service : {Service::Imap, Service::Pop3, Service::Sieve}) {
        if (server->server.service(service) == nullptr) continue;
        co_await prove_service(check, service, login);
    }
    co_return std::move(check.proofs);
}

}  // namespace

json check_server(NodeContext& node, const frontend::UpstreamSettings& settings,
                  frontend::HostAddresses& hosts, const cluster::Server& server,
                  const CheckLogin& login) {
    return net::run_on<json>(*node.control, [&node, &settings, &hosts, name = server.name, login] {
        return prove(node, settings, hosts, name, login);
    });
}

}  // namespace muster::admin
