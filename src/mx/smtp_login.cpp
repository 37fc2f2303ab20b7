// AUTH of a submission session (RFC 4954): the account's home judges the credentials.
#include "base/log.h"
#include "cluster/capabilities.h"
#include "frontend/login_attempt.h"
#include "mx/mail_service.h"
#include "mx/smtp_session.h"

namespace muster::mx {

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

Task<Result<AccountAddress>> SmtpSession::judge_login(frontend::Login login) {
    frontend::LoginAttempt attempt(service_.worker(), *this, peer_);
    // Where IMAP sessions of the account go, its credentials are judged.
    const auto home = attempt.find_route(cluster::Service::Imap, login);
    const auto turn = co_await attempt.begin(home ? home->server->server.name.text : "");
    if (!turn) co_return std::unexpected(turn.error());
    if (!home && home.error().kind != ErrorKind::Refused) co_return std::unexpected(home.error());
    auto judged = home ? co_await judge_at_home(attempt, login, *home)
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

// Both are judge_login()'s, which awaits it.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<Result<AccountAddress>> SmtpSession::judge_at_home(frontend::LoginAttempt& attempt,
                                                        const frontend::Login& login,
                                                        cluster::Route route) {
    // NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
    auto step = co_await attempt.judge(login, route, cluster::Service::Submission, false);
    if (!step) co_return std::unexpected(step.error());
    if (!route.known()) co_return fail(ErrorKind::Refused, "", "no such account");
    auto concluded = co_await attempt.conclude(std::move(step->step.text));
    if (!concluded) co_return std::unexpected(concluded.error());
    co_return route.login;
}

}  // namespace muster::mx
