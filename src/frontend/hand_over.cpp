// The second half of a login: from an identified account to a connection on which it is logged in.
#include <algorithm>
#include <array>

#include "base/log_line.h"
#include "cluster/credential_seal.h"
#include "frontend/connection.h"
#include "wire/ascii.h"

namespace muster::frontend {

// Phases of one story: what they refer to lives in hand_over(), which awaits them.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
namespace {

/// A conversation with a server ends as an Error, so that the client's can go on. It has a
/// deadline already.
template <typename T>
Task<Result<T>> guarded(net::Stream& server, Task<Result<T>> exchange) {
    auto reason = net::EndReason::None;
    try {
        Result<T> result = co_await std::move(exchange);
        server.expire_never();
        co_return result;
    } catch (const net::ConversationOver& over) {
        reason = over.reason();
    }
    co_return fail(
        ErrorKind::Unavailable, "unavailable",
        "the server's connection ended during the login: " + std::string(net::name(reason)));
}

/// The first message with the account's full address; SCRAM's is signed and stays as it is.
Result<std::string> message_for(const Login& login, const AccountAddress& account) {
    if (login.name == account.text || !wire::sasl::can_rewrite(login.mechanism)) {
        return login.message;
    }
    return wire::sasl::with_account(login.mechanism, login.message, account.view());
}

/// Names a server's stream for as long as its answer is waited for.
class Asked {
public:
    Asked(net::Stream*& place, net::Stream& server) : place_(place) { place = &server; }
    Asked(const Asked&) = delete;
    Asked& operator=(const Asked&) = delete;
    ~Asked() { place_ = nullptr; }

private:
    net::Stream*& place_;
};

}  // namespace

Result<cluster::Route> Connection::find_route(const Peer& peer, const Login& login) {
    const std::string tls_name = client_.tls_server_name();
    const std::string_view default_domain =
        listener_.default_domain ? listener_.default_domain->view() : std::string_view();
    const cluster::LoginContext context{peer.local.address, tls_name, default_domain};
    const auto located = worker_.directory().locate(login.name, context);
    if (!located) {
        if (located.error().kind != ErrorKind::Syntax) return std::unexpected(located.error());
        return fail(ErrorKind::Refused, "", "no name that an account could have");
    }
    worker_.targets().follow(located->topology);
    auto route = cluster::route(*located, listener_.service, worker_.shared().settings.node);
    // The public text of Refused is a code that a server gave; there is none.
    if (!route && route.error().kind == ErrorKind::Refused) {
        return fail(ErrorKind::Refused, "", route.error().detail);
    }
    return route;
}

Task<Result<Connection::Server>> Connection::hand_over(ClientSession& session, const Peer& peer,
                                                       const Login& login) {
    std::uint64_t changes = worker_.shared().accounts.changes();
    auto route = find_route(peer, login);
    const auto waited = co_await begin_attempt(route ? route->server->server.name.text : "");
    if (!waited) co_return std::unexpected(waited.error());
    if (*waited) {
        changes = worker_.shared().accounts.changes();
        route = find_route(peer, login);
    }
    log_ = log::Level::Info;
    if (!route) co_return std::unexpected(route.error());
    if (!route->known() && !worker_.may_hand_on_unknown()) {
        co_return fail(ErrorKind::Refused, "", "too many unknown names");
    }
    log_ = route->service->log;
    const auto entry = co_await entry_for(session, peer, login, *route);
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
    auto entered = co_await enter(session, peer, *route, start);
    if (!entered) co_return std::unexpected(entered.error());

    record(peer, *route);
    worker_.shared().accounts.entered(route->login, changes);
    worker_.shared().guard.succeeded(counted_, std::exchange(attempt_, ClientGuard::Attempt::None));
    const std::string ahead = session.take_rest();
    Upstream& upstream = *entered->upstream;
    if (!ahead.empty()) co_await upstream.stream().write(ahead);
    co_await client_.write(session.welcome(login, entry->before_success + entered->success) +
                           upstream.take_rest());
    co_return upstream.release();
}

Task<Result<bool>> Connection::begin_attempt(std::string server) {
    constexpr net::Duration kPause{20};
    ClientGuard& guard = worker_.shared().guard;
    for (bool waited = false;; waited = true) {
        const auto turn = guard.begin(counted_, server, attempt_);
        if (turn == ClientGuard::Turn::Now) co_return waited;
        if (turn == ClientGuard::Turn::Never) {
            co_return fail(ErrorKind::Limit, "Too many failed logins; try again later.");
        }
        co_await net::Sleep(worker_.loop(), kPause);
        client_.descriptor().throw_if_ended();  // also when the time to log in is over
    }
}

Task<std::optional<std::string>> Connection::ask(ClientSession& session,
                                                 const std::string& challenge) {
    ClientGuard& guard = worker_.shared().guard;
    guard.waits_for_client(counted_, attempt_, true);
    auto answer = co_await session.ask(challenge);
    guard.waits_for_client(counted_, attempt_, false);
    co_return answer;
}

Task<Result<Connection::Entered>> Connection::enter(ClientSession& session, const Peer& peer,
                                                    const cluster::Route& route,
                                                    UpstreamLogin login) {
    auto server = co_await worker_.upstream(listener_.service, route, peer);
    if (!server) co_return std::unexpected(server.error());
    auto success = co_await converse(session, *server, login);
    client_.descriptor().throw_if_ended();
    if (!success && server->was_waiting && server->upstream->silent()) {
        worker_.give_up_warm(listener_.service, route);  // its neighbours may be the same
    }
    // A login is sent a second time only when nobody was there to hear the first.
    if (!success && server->was_waiting && server->upstream->was_gone()) {
        log::info("warm-connection-dead", {{"session", id_},
                                           {"server", route.server->server.name},
                                           {"service", cluster::name(listener_.service)},
                                           {"reason", success.error().detail}});
        server = co_await worker_.upstream_anew(listener_.service, route, peer);
        if (!server) co_return std::unexpected(server.error());
        success = co_await converse(session, *server, login);
    }
    if (server->was_waiting && (success || success.error().kind == ErrorKind::Refused)) {
        worker_.shared().health.traffic_succeeded({route.server->server.name, listener_.service});
    }
    if (!success) co_return std::unexpected(success.error());
    if (server->was_waiting) server->upstream->stream().give_up_unacknowledged(net::Duration{0});
    co_return Entered{std::move(server->upstream), std::move(*success)};
}

Task<Result<Connection::Entry>> Connection::entry_for(ClientSession& session, const Peer& peer,
                                                      const Login& login,
                                                      const cluster::Route& route) {
    using wire::sasl::Mechanism;
    if (route.server->server.login == cluster::LoginMode::Own || !route.known()) {
        auto message = message_for(login, route.login);
        if (!message) co_return std::unexpected(message.error());
        co_return Entry{login.mechanism, std::move(*message)};
    }
    auto judged = co_await verify(session, peer, login, route);
    if (!judged) co_return std::unexpected(judged.error());
    auto message = wire::sasl::write_plain(route.login.view(), judged->credentials.user,
                                           judged->credentials.password);
    if (!message) co_return std::unexpected(message.error());
    co_return Entry{Mechanism::Plain, std::move(*message), std::move(judged->before_success)};
}

Task<Result<Connection::Judged>> Connection::verify(ClientSession& session, const Peer& peer,
                                                    const Login& login,
                                                    const cluster::Route& route) {
    const bool by_token = route.server->server.login == cluster::LoginMode::Token;
    auto message = message_for(login, route.login);
    if (!message) co_return std::unexpected(message.error());
    auto step = co_await judge(session, {route.server->server.name, listener_.service, by_token,
                                         login.mechanism, *message, peer.client, id_});
    if (!step) co_return std::unexpected(step.error());
    if (step->step.kind == SaslStep::Kind::Denied) {
        co_return fail(ErrorKind::Refused, "", "credentials refused by a back end");
    }
    // A master user opens any mailbox: whose credentials these were decides which.
    if (!wire::equal_folded(step->account, route.login.view())) {
        co_return fail(ErrorKind::Refused, "", "credentials of another account");
    }
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
    if (!step->step.text.empty()) {
        ClientGuard& guard = worker_.shared().guard;
        guard.waits_for_client(counted_, attempt_, true);
        auto before = co_await session.conclude(std::move(step->step.text));
        guard.waits_for_client(counted_, attempt_, false);
        if (!before) co_return fail(ErrorKind::Syntax, "Authentication cancelled.");
        judged.before_success = std::move(*before);
    }
    co_return judged;
}

Task<Result<VerifyStep>> Connection::judge(ClientSession& session, VerifyRequest request) {
    const Shared& shared = worker_.shared();
    if (shared.verifier == nullptr) {
        co_return fail(ErrorKind::Unavailable, "unavailable", "no back end can judge credentials");
    }
    if (shared.pool.full()) {
        co_return fail(ErrorKind::Unavailable, "unavailable", "too many logins wait for a judge");
    }
    auto step = co_await net::Blocking(worker_.loop(), shared.pool, [&shared, request] {
        return shared.verifier->begin(request);
    });
    while (step && step->step.kind == SaslStep::Kind::Challenge) {
        const auto answer = co_await ask(session, step->step.text);
        if (!answer) co_return fail(ErrorKind::Syntax, "Authentication cancelled.");
        step = co_await net::Blocking(
            worker_.loop(), shared.pool, [&shared, request, exchange = step->exchange, answer] {
                return shared.verifier->answer(request, exchange, *answer);
            });
    }
    co_return step;
}

Task<Result<std::string>> Connection::converse(ClientSession& session, Worker::Reached& server,
                                               UpstreamLogin login) {
    constexpr int kMaxSteps = 8;  // SCRAM needs three
    const UpstreamSettings& times = worker_.shared().settings.upstream;
    Upstream& upstream = *server.upstream;
    const Asked asked(server_, upstream.stream());
    // To judge credentials may take a while; to take an introduction does not. And where a
    // connection has waited, the machine behind it may be gone since.
    const net::Duration promptly = std::min(times.connect_time, times.login_time);
    upstream.allow(upstream.introduces() ? promptly : times.login_time, times.login_time);
    if (server.was_waiting) upstream.stream().give_up_unacknowledged(promptly);
    auto step = co_await guarded(upstream.stream(), upstream.begin(login));
    note_introduction(upstream);
    for (int steps = 0; step && step->kind == SaslStep::Kind::Challenge; ++steps) {
        if (steps == kMaxSteps) {
            co_return fail(ErrorKind::Unavailable, "unavailable", "an endless SASL exchange");
        }
        // PLAIN is one message, and may have been a LOGIN or PASS, whose client expects no
        // challenge; of other mechanisms only what they say goes to a stranger, no other text of a
        // server.
        if (login.mechanism == wire::sasl::Mechanism::Plain || !wire::sasl::decode(step->text)) {
            co_return fail(ErrorKind::Unavailable, "unavailable", "a challenge out of place");
        }
        auto answer = co_await ask(session, step->text);
        if (!answer) co_return fail(ErrorKind::Syntax, "Authentication cancelled.");
        upstream.stream().expire_after(times.login_time);
        step = co_await guarded(upstream.stream(), upstream.answer(std::move(*answer)));
    }
    if (!step) co_return std::unexpected(step.error());
    if (step->kind == SaslStep::Kind::Accepted) co_return std::move(step->text);
    co_return fail(ErrorKind::Refused, step->text, "credentials refused by the server");
}

void Connection::note_introduction(const Upstream& upstream) {
    Introductions& introductions = worker_.shared().introductions;
    if (!upstream.refusal().empty()) {
        introductions.refused(upstream.server(), listener_.service, upstream.refusal());
    } else if (upstream.introduces() && !upstream.silent()) {
        introductions.taken(upstream.server(), listener_.service);
    }
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
}  // namespace muster::frontend
