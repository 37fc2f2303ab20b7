// The second half of a login: from an identified account to a connection on which it is logged in.
#include <array>

#include "base/log_line.h"
#include "cluster/credential_seal.h"
#include "frontend/connection.h"

namespace muster::frontend {

// Phases of one story: what they refer to lives in hand_over(), which awaits them.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<Result<Connection::Server>> Connection::hand_over(ClientSession& session, const Peer& peer,
                                                       const Login& login, LoginAttempt& attempt) {
    std::uint64_t changes = worker_.shared().accounts.changes();
    auto route = attempt.find_route(listener_.service, login);
    const auto waited = co_await attempt.begin(route ? route->server->server.name.text : "");
    if (!waited) co_return std::unexpected(waited.error());
    if (*waited) {
        changes = worker_.shared().accounts.changes();
        route = attempt.find_route(listener_.service, login);
    }
    log_ = log::Level::Info;
    if (!route) co_return std::unexpected(route.error());
    if (!route->known() && !worker_.may_hand_on_unknown()) {
        co_return fail(ErrorKind::Refused, "", "too many unknown names");
    }
    log_ = route->service->log;
    const auto entry = co_await entry_for(attempt, login, *route);
    if (!entry) co_return std::unexpected(entry.error());

    std::array<wire::ForwardField, 1> forward{{{"muster_account", route->login.view()}}};
    UpstreamLogin start{
        {peer.client, peer.local, id_.view(), 5, {}}, entry->mechanism, entry->message};
    if (!wire::sasl::can_rewrite(entry->mechanism) && login.name != route->login.text) {
        start.introduction.forward = forward;
    }
    if (logs(log::Level::Debug)) {
        log::write_line(log::Level::Debug, "login-sent",
                        {{"session", id_},
                         {"server", route->server->server.name},
                         {"user", route->login},
                         {"mechanism", wire::sasl::name(entry->mechanism)},
                         {"entered_by", cluster::name(route->server->server.login)}});
    }
    auto entered = co_await attempt.enter(listener_.service, *route, start);
    if (!entered) co_return std::unexpected(entered.error());

    record(peer, *route);
    worker_.shared().accounts.entered(route->login, changes);
    attempt.succeeded();
    const std::string ahead = session.take_rest();
    Upstream& upstream = *entered->upstream;
    if (!ahead.empty()) co_await upstream.stream().write(ahead);
    co_await client_.write(session.welcome(login, entry->before_success + entered->success) +
                           upstream.take_rest());
    co_return upstream.release();
}

Task<Result<Connection::Entry>> Connection::entry_for(LoginAttempt& attempt, const Login& login,
                                                      const cluster::Route& route) {
    using wire::sasl::Mechanism;
    if (route.server->server.login == cluster::LoginMode::Own || !route.known()) {
        auto message = message_for(login, route.login);
        if (!message) co_return std::unexpected(message.error());
        co_return Entry{login.mechanism, std::move(*message)};
    }
    auto judged = co_await verify(attempt, login, route);
    if (!judged) co_return std::unexpected(judged.error());
    auto message = wire::sasl::write_plain(route.login.view(), judged->credentials.user,
                                           judged->credentials.password);
    if (!message) co_return std::unexpected(message.error());
    co_return Entry{Mechanism::Plain, std::move(*message), std::move(judged->before_success)};
}

Task<Result<Connection::Judged>> Connection::verify(LoginAttempt& attempt, const Login& login,
                                                    const cluster::Route& route) {
    const bool by_token = route.server->server.login == cluster::LoginMode::Token;
    auto step = co_await attempt.judge(login, route, listener_.service, by_token);
    if (!step) co_return std::unexpected(step.error());
    Judged judged;
    if (step->token) {
        judged.credentials = std::move(*step->token);
    } else if (!by_token && route.server->credential) {
        const cluster::Credential& master = *route.server->credential;
        auto password = cluster::opened_password(master.password, worker_.shared().settings.secret);
        if (!password) {
            co_return fail(
                ErrorKind::Unavailable, "unavailable",
                "the master user's password cannot be opened: " + password.error().detail);
        }
        judged.credentials = {master.user, std::move(*password)};
    } else {
        co_return fail(ErrorKind::Unavailable, "unavailable", "no credentials for the server");
    }
    auto before = co_await attempt.conclude(std::move(step->step.text));
    if (!before) co_return std::unexpected(before.error());
    judged.before_success = std::move(*before);
    co_return judged;
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
}  // namespace muster::frontend
