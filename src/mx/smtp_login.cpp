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
    if (!wire::sasl::routable(request->mechanism)) {
        complain({504, "5.5.4", "No such mechanism here"});
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

namespace {

/// One attempt as the guard counts it; withdrawn unless somebody judged it.
class CountedAttempt {
public:
    CountedAttempt(ClientGuard& guard, const IpAddress& client) : guard_(guard), client_(client) {}
    CountedAttempt(const CountedAttempt&) = delete;
    CountedAttempt& operator=(const CountedAttempt&) = delete;
    ~CountedAttempt() {
        if (attempt_ != ClientGuard::Attempt::None) guard_.withdrawn(client_, attempt_);
    }

    ClientGuard::Turn begin(std::string_view server) {
        return guard_.begin(client_, server, attempt_);
    }
    void succeeded() { guard_.succeeded(client_, taken()); }
    net::Duration failed() { return guard_.failed(client_, taken()); }

private:
    ClientGuard::Attempt taken() { return std::exchange(attempt_, ClientGuard::Attempt::None); }

    ClientGuard& guard_;
    IpAddress client_;
    ClientGuard::Attempt attempt_ = ClientGuard::Attempt::None;
};

}  // namespace

Result<cluster::Route> SmtpSession::find_home(const frontend::Login& login) {
    const std::string tls_name = client_.tls_server_name();
    const cluster::LoginContext context{
        peer_.local.address, tls_name,
        listener_.default_domain ? listener_.default_domain->view() : std::string_view()};
    const auto located = service_.worker().directory().locate(login.name, context);
    if (!located) {
        if (located.error().kind != ErrorKind::Syntax) return std::unexpected(located.error());
        return fail(ErrorKind::Refused, "", "no name that an account could have");
    }
    return cluster::route(*located, cluster::Service::Imap,
                          service_.worker().shared().settings.node);
}

Task<Result<AccountAddress>> SmtpSession::judge_login(frontend::Login login) {
    constexpr net::Duration kPause{20};
    const auto home = find_home(login);
    const std::string_view server = home ? home->server->server.name.view() : std::string_view();
    CountedAttempt attempt(service_.worker().shared().guard, peer_.client.address);
    for (auto turn = attempt.begin(server); turn != ClientGuard::Turn::Now;
         turn = attempt.begin(server)) {
        if (turn == ClientGuard::Turn::Never) {
            co_return fail(ErrorKind::Limit, "Too many failed logins; try again later");
        }
        co_await net::Sleep(service_.worker().loop(), kPause);
        client_.descriptor().throw_if_ended();
    }
    if (!home && home.error().kind != ErrorKind::Refused) {
        co_return std::unexpected(home.error());
    }
    auto judged = home ? co_await judge_at_home(std::move(login), *home)
                       : Result<AccountAddress>(std::unexpected(home.error()));
    if (judged) {
        attempt.succeeded();
    } else if (judged.error().kind != ErrorKind::Unavailable) {
        const net::Duration delay = attempt.failed();
        if (!host_.draining()) co_await net::Sleep(service_.worker().loop(), delay);
        client_.descriptor().throw_if_ended();
    }
    co_return judged;
}

Task<Result<AccountAddress>> SmtpSession::judge_at_home(frontend::Login login,
                                                        cluster::Route route) {
    const frontend::Shared& shared = service_.worker().shared();
    if (shared.verifier == nullptr || shared.pool.full()) {
        co_return fail(ErrorKind::Unavailable, "unavailable", "nobody can judge credentials now");
    }
    std::string message = login.message;
    if (login.name != route.login.text && wire::sasl::can_rewrite(login.mechanism)) {
        auto rewritten =
            wire::sasl::with_account(login.mechanism, login.message, route.login.view());
        if (!rewritten) co_return std::unexpected(rewritten.error());
        message = std::move(*rewritten);
    }
    const frontend::VerifyRequest request{route.server->server.name,
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
    if (!route.known() || !wire::equal_folded(step->account, route.login.view())) {
        co_return fail(ErrorKind::Refused, "", "credentials of another account");
    }
    if (!step->step.text.empty() && !co_await conclude(std::move(step->step.text))) {
        co_return fail(ErrorKind::Syntax, "Authentication cancelled");
    }
    co_return route.login;
}

}  // namespace muster::mx
