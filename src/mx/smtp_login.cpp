// AUTH of a submission session (RFC 4954): the account's home judges the credentials.
#include <algorithm>

#include "base/log.h"
#include "cluster/capabilities.h"
#include "frontend/login_attempt.h"
#include "mx/mail_service.h"
#include "mx/smtp_session.h"
#include "wire/ascii.h"

namespace muster::mx {

namespace {

/// A server on which nothing of ours runs judges its accounts' credentials by itself.
bool judges_itself(const cluster::Server& server) {
    return server.node.empty() && server.login == cluster::LoginMode::Own;
}

/// What goes to such a server, which may look at one of two names only: it must be the account's.
/// Who has proved to be one would else be taken for the other.
Result<std::string> own_proof(const frontend::Login& login, const AccountAddress& account) {
    const auto who = wire::sasl::identity(login.mechanism, login.message);
    if (!who) return std::unexpected(who.error());
    const bool has_two = !who->authzid.empty() && !who->authcid.empty();
    if (has_two && !wire::equal_folded(who->authzid, who->authcid)) {
        return fail(ErrorKind::Refused, "", "credentials of another account");
    }
    if (login.mechanism != wire::sasl::Mechanism::Plain) {
        return frontend::message_for(login, account);
    }
    const auto plain = wire::sasl::parse_plain(login.message);
    if (!plain) return std::unexpected(plain.error());
    return wire::sasl::write_plain({}, account.view(), plain->password);
}

}  // namespace

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

/// What every server can judge that a login may lead to.
std::string SmtpSession::mechanisms() {
    const auto& topology = service_.worker().directory().topology();
    const auto servers =
        cluster::reachable_servers(*topology, nullptr, service_.worker().shared().settings.node);
    const auto by_submission = [](const cluster::ServerView* view) {
        return judges_itself(view->server) &&
               view->server.service(cluster::Service::Submission) != nullptr;
    };
    std::vector<const cluster::ServerView*> by_smtp;
    std::vector<const cluster::ServerView*> by_imap;
    std::ranges::partition_copy(servers, std::back_inserter(by_smtp), std::back_inserter(by_imap),
                                by_submission);
    const auto imap = cluster::common_announcement(by_imap, cluster::Service::Imap).mechanisms;
    const auto smtp =
        cluster::common_announcement(by_smtp, cluster::Service::Submission).mechanisms;
    std::string text = "PLAIN LOGIN";
    for (const std::string& each : by_imap.empty() ? smtp : imap) {
        const auto mechanism = wire::sasl::routable(each);
        if (!mechanism || text.find(each) != text.npos) continue;
        if (!by_smtp.empty() && std::ranges::find(smtp, each) == smtp.end()) continue;
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

// What is passed by reference is judge_login()'s, which awaits these.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<Result<AccountAddress>> SmtpSession::judge_login(frontend::Login login) {
    frontend::LoginAttempt attempt(service_.worker(), *this, peer_, attempt_);
    const auto home = find_judge(attempt, login);
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

/// Where IMAP sessions of the account go; of a foreign server its submission service where it has
/// one.
Result<cluster::Route> SmtpSession::find_judge(frontend::LoginAttempt& attempt,
                                               const frontend::Login& login) {
    auto submission = attempt.find_route(cluster::Service::Submission, login);
    if (submission && judges_itself(submission->server->server)) return submission;
    return attempt.find_route(cluster::Service::Imap, login);
}

Task<Result<AccountAddress>> SmtpSession::judge_at_home(frontend::LoginAttempt& attempt,
                                                        const frontend::Login& login,
                                                        cluster::Route route) {
    if (judges_itself(route.server->server)) {
        co_return co_await judge_at_foreign_server(attempt, login, std::move(route));
    }
    auto step = co_await attempt.judge(login, route, cluster::Service::Submission, false);
    if (!step) co_return std::unexpected(step.error());
    if (!route.known()) co_return fail(ErrorKind::Refused, "", "no such account");
    auto concluded = co_await attempt.conclude(std::move(step->step.text));
    if (!concluded) co_return std::unexpected(concluded.error());
    co_return route.login;
}

/// By SMTP AUTH or IMAP AUTHENTICATE: who can log in there is who he says he is.
Task<Result<AccountAddress>> SmtpSession::judge_at_foreign_server(frontend::LoginAttempt& attempt,
                                                                  const frontend::Login& login,
                                                                  cluster::Route route) {
    if (!route.known() && !service_.worker().may_hand_on_unknown()) {
        co_return fail(ErrorKind::Refused, "", "too many unknown names");
    }
    // It would take a signed name that has no domain for one of its own.
    if (!wire::sasl::can_rewrite(login.mechanism) &&
        !wire::equal_folded(login.name, route.login.view())) {
        co_return fail(ErrorKind::Refused, "", "a signed name that the server does not know");
    }
    const auto message = own_proof(login, route.login);
    if (!message) co_return std::unexpected(message.error());
    const cluster::Service service =
        route.service == route.server->server.service(cluster::Service::Submission)
            ? cluster::Service::Submission
            : cluster::Service::Imap;
    const auto entered = co_await attempt.enter(
        service, route,
        {{peer_.client, peer_.local, peer_.session.view(), 5, {}}, login.mechanism, *message});
    if (!entered) co_return std::unexpected(entered.error());
    entered->upstream->leave();
    if (!route.known()) co_return fail(ErrorKind::Refused, "", "no such account");
    co_return route.login;
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)

void SmtpSession::end_login(net::EndReason reason) {
    if (attempt_ != nullptr) attempt_->end(reason);
}

void SmtpSession::hurry_login() {
    if (attempt_ != nullptr) attempt_->hurry();
}

}  // namespace muster::mx
