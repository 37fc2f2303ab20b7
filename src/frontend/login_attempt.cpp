#include "frontend/login_attempt.h"

#include "base/log.h"
#include "wire/ascii.h"

namespace muster::frontend {

// What they refer to lives in the session, which awaits them.
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

Result<std::string> message_for(const Login& login, const AccountAddress& account) {
    if (login.name == account.text || !wire::sasl::can_rewrite(login.mechanism)) {
        return login.message;
    }
    return wire::sasl::with_account(login.mechanism, login.message, account.view());
}

Result<cluster::Route> LoginAttempt::find_route(cluster::Service service, const Login& login) {
    const std::string tls_name = session_.client().tls_server_name();
    const auto located = worker_.directory().locate(login.name, session_.context(tls_name));
    if (!located) {
        if (located.error().kind != ErrorKind::Syntax) return std::unexpected(located.error());
        return fail(ErrorKind::Refused, "", "no name that an account could have");
    }
    worker_.targets().follow(located->topology);
    auto route = cluster::route(*located, service, worker_.shared().settings.node);
    // The public text of Refused is a code that a server gave; there is none.
    if (!route && route.error().kind == ErrorKind::Refused) {
        return fail(ErrorKind::Refused, "", route.error().detail);
    }
    return route;
}

Task<Result<bool>> LoginAttempt::begin(std::string server) {
    constexpr net::Duration kPause{20};
    for (bool waited = false;; waited = true) {
        const auto turn = guard().begin(peer_.client.address, server, attempt_);
        if (turn == ClientGuard::Turn::Now) co_return waited;
        if (turn == ClientGuard::Turn::Never) {
            co_return fail(ErrorKind::Limit, "Too many failed logins; try again later.");
        }
        co_await net::Sleep(worker_.loop(), kPause);
        // Also when the time to log in is over.
        session_.client().descriptor().throw_if_ended();
    }
}

Task<std::optional<std::string>> LoginAttempt::ask(const std::string& challenge) {
    guard().waits_for_client(peer_.client.address, attempt_, true);
    auto answer = co_await session_.ask(challenge);
    guard().waits_for_client(peer_.client.address, attempt_, false);
    co_return answer;
}

Task<Result<VerifyStep>> LoginAttempt::judge(const Login& login, const cluster::Route& route,
                                             cluster::Service service, bool wants_token) {
    auto message = message_for(login, route.login);
    if (!message) co_return std::unexpected(message.error());
    auto step = co_await relay({route.server->server.name, service, wants_token, login.mechanism,
                                *message, peer_.client, peer_.session});
    if (!step) co_return step;
    if (step->step.kind == SaslStep::Kind::Denied) {
        co_return fail(ErrorKind::Refused, "", "credentials refused by a back end");
    }
    // A master user opens any mailbox: whose credentials these were decides which.
    if (!wire::equal_folded(step->account, route.login.view())) {
        co_return fail(ErrorKind::Refused, "", "credentials of another account");
    }
    co_return step;
}

Task<Result<VerifyStep>> LoginAttempt::relay(VerifyRequest request) {
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
        const auto answer = co_await ask(step->step.text);
        if (!answer) co_return fail(ErrorKind::Syntax, "Authentication cancelled.");
        step = co_await net::Blocking(
            worker_.loop(), shared.pool, [&shared, request, exchange = step->exchange, answer] {
                return shared.verifier->answer(request, exchange, *answer);
            });
    }
    co_return step;
}

Task<Result<std::string>> LoginAttempt::conclude(std::string last) {
    if (last.empty()) co_return std::string();
    guard().waits_for_client(peer_.client.address, attempt_, true);
    auto before = co_await session_.conclude(std::move(last));
    guard().waits_for_client(peer_.client.address, attempt_, false);
    if (!before) co_return fail(ErrorKind::Syntax, "Authentication cancelled.");
    co_return std::move(*before);
}

Task<Result<LoginAttempt::Entered>> LoginAttempt::enter(cluster::Service service,
                                                        const cluster::Route& route,
                                                        UpstreamLogin login) {
    auto server = co_await worker_.upstream(service, route, peer_);
    if (!server) co_return std::unexpected(server.error());
    auto success = co_await converse(*server, login);
    session_.client().descriptor().throw_if_ended();
    if (!success && server->was_waiting && server->upstream->silent()) {
        worker_.give_up_warm(service, route);  // its neighbours may be the same
    }
    // A login is sent a second time only when nobody was there to hear the first.
    if (!success && server->was_waiting && server->upstream->was_gone()) {
        log::info("warm-connection-dead", {{"session", peer_.session},
                                           {"server", route.server->server.name},
                                           {"service", cluster::name(service)},
                                           {"reason", success.error().detail}});
        server = co_await worker_.upstream_anew(service, route, peer_);
        if (!server) co_return std::unexpected(server.error());
        success = co_await converse(*server, login);
    }
    if (server->was_waiting && (success || success.error().kind == ErrorKind::Refused)) {
        worker_.shared().health.traffic_succeeded({route.server->server.name, service});
    }
    if (!success) co_return std::unexpected(success.error());
    if (server->was_waiting) server->upstream->stream().give_up_unacknowledged(net::Duration{0});
    co_return Entered{std::move(server->upstream), std::move(*success)};
}

Task<Result<std::string>> LoginAttempt::converse(Worker::Reached& server, UpstreamLogin login) {
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
        auto answer = co_await ask(step->text);
        if (!answer) co_return fail(ErrorKind::Syntax, "Authentication cancelled.");
        upstream.stream().expire_after(times.login_time);
        step = co_await guarded(upstream.stream(), upstream.answer(std::move(*answer)));
    }
    if (!step) co_return std::unexpected(step.error());
    if (step->kind == SaslStep::Kind::Accepted) co_return std::move(step->text);
    co_return fail(ErrorKind::Refused, step->text, "credentials refused by the server");
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)

void LoginAttempt::note_introduction(const Upstream& upstream) {
    const cluster::Service service = upstream.service();
    Introductions& introductions = worker_.shared().introductions;
    if (!upstream.refusal().empty()) {
        introductions.refused(upstream.server(), service, upstream.refusal());
    } else if (upstream.introduces() && !upstream.silent()) {
        introductions.taken(upstream.server(), service);
    }
}

ClientGuard::Attempt LoginAttempt::taken() {
    return std::exchange(attempt_, ClientGuard::Attempt::None);
}

void LoginAttempt::succeeded() { guard().succeeded(peer_.client.address, taken()); }

net::Duration LoginAttempt::failed() { return guard().failed(peer_.client.address, taken()); }

void LoginAttempt::withdrawn() {
    if (under_way()) guard().withdrawn(peer_.client.address, taken());
}

void LoginAttempt::end(net::EndReason reason) {
    if (server_ != nullptr) server_->abort(reason);
}

void LoginAttempt::hurry() {
    if (server_ != nullptr) server_->expire_after(net::Duration{0});
}

}  // namespace muster::frontend
