// AUTH of a submission session (RFC 4954): the account's home judges the credentials.
#include "base/log.h"
#include "cluster/capabilities.h"
#include "cluster/route.h"
#include "mx/mail_service.h"
#include "mx/smtp_session.h"
#include "wire/ascii.h"

namespace muster::mx {

using frontend::ClientGuard;
using frontend::SaslStep;

Task<std::optional<std::string>> SmtpSession::ask(std::string_view challenge) {
    std::string line = "334 ";
    line += challenge;
    line += "\r\n";
    co_await client_.write(line);
    client_.expire_after(service_.settings().idle);
    const auto answer = co_await reader_.line(wire::sasl::kMaxMessage * 2);
    if (!answer) throw net::ConversationOver(net::EndReason::ClientClosed);
    if (answer->fault != net::LineFault::None) co_return std::nullopt;
    if (wire::sasl::is_cancel(answer->text)) co_return std::nullopt;
    co_return std::string(answer->text);
}

std::string SmtpSession::mechanisms() {
    const auto& topology = service_.worker().directory().topology();
    const auto servers =
        cluster::reachable_servers(*topology, nullptr, service_.worker().shared().settings.node);
    std::string text = "PLAIN LOGIN";
    for (const std::string& each :
         cluster::common_announcement(servers, cluster::Service::Imap).mechanisms) {
        const auto mechanism = wire::sasl::routable(each);
        if (!mechanism || text.find(each) != text.npos) continue;
        if (!wire::sasl::reveals_secret(*mechanism) && !offer().scram) continue;
        text += ' ' + each;
    }
    return text;
}

Task<SmtpSession::Next> SmtpSession::auth(std::string_view rest) {
    if (!submits() || !login_.empty() || transaction_) {
        complain({503, "5.5.1", "Not here, or not now"});
        co_return Next::Go;
    }
    const std::string line(rest);  // what is read next takes its place
    const auto request = wire::sasl::parse_auth_request(line);
    if (!request) {
        complain({501, "5.5.4", "AUTH needs a mechanism"});
        co_return Next::Go;
    }
    co_await flush();
    auto login = co_await read_sasl(*request);
    if (!login) {
        ++mistakes_;
        out_ += refusal({}, login.error());
        co_return Next::Go;
    }
    const std::string name = login->name;
    const auto judged = co_await judge_login(std::move(*login));
    if (judged) {
        login_ = judged->text;
        log::info("login", {{"session", peer_.session},
                            {"service", "submission"},
                            {"client", peer_.client.text()},
                            {"user", login_},
                            {"tls", client_.tls_description()}});
        out_ += welcome({}, {});
    } else {
        ++mistakes_;
        log::info("login-failed", {{"session", peer_.session},
                                   {"service", "submission"},
                                   {"client", peer_.client.text()},
                                   {"user", name},
                                   {"reason", judged.error().detail}});
        out_ += refusal({}, judged.error());
    }
    co_return Next::Go;
}

Task<Result<AccountAddress>> SmtpSession::judge_login(frontend::Login login) {
    const frontend::Shared& shared = service_.worker().shared();
    const IpAddress counted = peer_.client.address;
    const auto turn = shared.guard.begin(counted);
    if (turn != ClientGuard::Turn::Now) {
        co_return fail(ErrorKind::Limit, "Too many failed logins; try again later");
    }
    auto judged = co_await judge_at_home(std::move(login));
    if (judged) {
        shared.guard.succeeded(counted);
    } else if (judged.error().kind == ErrorKind::Unavailable) {
        shared.guard.withdrawn(counted);
    } else {
        co_await net::Sleep(service_.worker().loop(), shared.guard.failed(counted));
        client_.descriptor().throw_if_ended();
    }
    co_return judged;
}

Task<Result<AccountAddress>> SmtpSession::judge_at_home(frontend::Login login) {
    const frontend::Shared& shared = service_.worker().shared();
    if (shared.verifier == nullptr || shared.pool.full()) {
        co_return fail(ErrorKind::Unavailable, "unavailable", "nobody can judge credentials now");
    }
    const std::string tls_name = client_.tls_server_name();
    const cluster::LoginContext context{
        peer_.local.address, tls_name,
        listener_.default_domain ? listener_.default_domain->view() : std::string_view()};
    const auto located = service_.worker().directory().locate(login.name, context);
    if (!located) co_return fail(ErrorKind::Refused, "", located.error().detail);
    const auto route = cluster::route(*located, cluster::Service::Imap, shared.settings.node);
    if (!route) co_return std::unexpected(route.error());
    std::string message = login.message;
    if (login.name != route->login.text && wire::sasl::can_rewrite(login.mechanism)) {
        auto rewritten =
            wire::sasl::with_account(login.mechanism, login.message, route->login.view());
        if (!rewritten) co_return std::unexpected(rewritten.error());
        message = std::move(*rewritten);
    }
    const frontend::VerifyRequest request{route->server->server.name,
                                          cluster::Service::Submission,
                                          false,
                                          login.mechanism,
                                          message,
                                          peer_.client,
                                          peer_.session};
    net::Loop& loop = service_.worker().loop();
    auto step = co_await net::Blocking(
        loop, shared.pool, [&shared, request] { return shared.verifier->begin(request); });
    while (step && step->step.kind == SaslStep::Kind::Challenge) {
        const auto answer = co_await ask(step->step.text);
        if (!answer) co_return fail(ErrorKind::Syntax, "Authentication cancelled");
        step = co_await net::Blocking(
            loop, shared.pool, [&shared, request, exchange = step->exchange, answer] {
                return shared.verifier->answer(request, exchange, *answer);
            });
    }
    if (!step) co_return fail(ErrorKind::Unavailable, "unavailable", step.error().detail);
    if (step->step.kind == SaslStep::Kind::Denied) {
        co_return fail(ErrorKind::Refused, "", "credentials refused by a back end");
    }
    if (!route->known() || !wire::equal_folded(step->account, route->login.view())) {
        co_return fail(ErrorKind::Refused, "", "credentials of another account");
    }
    if (!step->step.text.empty() && !co_await conclude(std::move(step->step.text))) {
        co_return fail(ErrorKind::Syntax, "Authentication cancelled");
    }
    co_return route->login;
}

}  // namespace muster::mx
