#include "frontend/connection.h"

#include <algorithm>
#include <array>

#include "base/log_line.h"
#include "cluster/credential_seal.h"
#include "frontend/imap_session.h"
#include "frontend/pop3_session.h"
#include "frontend/sieve_session.h"
#include "wire/ascii.h"
#include "wire/proxy_protocol.h"

namespace muster::frontend {
namespace {

constexpr net::Duration kFarewellTime{2'000};

// Phases of one story: what they refer to lives in log_in() and hand_over(), which await them.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)

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

std::unique_ptr<ClientSession> make_session(SessionHost& host, const ListenerSettings& listener,
                                            net::SocketStream& client, const Peer& peer) {
    switch (listener.service) {
        case cluster::Service::Pop3:
            return std::make_unique<Pop3Session>(host, listener, client, peer);
        case cluster::Service::Sieve:
            return std::make_unique<SieveSession>(host, listener, client, peer);
        default: return std::make_unique<ImapSession>(host, listener, client, peer);
    }
}

Connection::Connection(Worker& worker, const ListenerSettings& listener, int fd)
    : worker_(worker),
      listener_(listener),
      client_(worker.loop(), fd),
      id_(worker.new_session_id()) {
    next_ = std::exchange(worker_.connections_, this);
    if (next_ != nullptr) next_->previous_ = this;
}

Connection::~Connection() {
    if (attempting_) worker_.shared().guard.withdrawn(counted_);
    if (is_counted_) worker_.shared().guard.leave(counted_);
    if (handle_) worker_.sessions().remove(*handle_);
    (previous_ == nullptr ? worker_.connections_ : previous_->next_) = next_;
    if (next_ != nullptr) next_->previous_ = previous_;
}

Task<Connection::Server> Connection::log_in(Endpoint client, Endpoint local) {
    counted_ = client.address;
    Peer peer{client, local, id_};
    std::unique_ptr<ClientSession> session;
    auto reason = net::EndReason::None;
    try {
        client_.expire_after(worker_.limits().login_time);
        if (!co_await read_proxy_header(peer)) co_return nullptr;
        if (!co_await admit(peer)) co_return nullptr;
        if (!co_await accept_tls()) co_return nullptr;
        session = make_session(worker_, listener_, client_, peer);
        co_await session->greet();
        co_return co_await identify_and_hand_over(*session, peer);
    } catch (const net::ConversationOver& over) {
        reason = over.reason();
    }
    if (worker_.draining() && reason == net::EndReason::Deadline) {
        reason = net::EndReason::Draining;
    }
    log::info("connection-ended",
              {{"session", id_}, {"client", peer.client.text()}, {"reason", net::name(reason)}});
    const std::string farewell = session ? session->farewell(reason) : std::string();
    if (farewell.empty()) co_return nullptr;
    try {
        co_await net::within(client_, kFarewellTime, client_.write(farewell));
    } catch (const net::ConversationOver&) {
        log::debug("farewell-unheard", {{"session", id_}});
    }
    co_return nullptr;
}

Task<bool> Connection::read_proxy_header(Peer& peer) {
    if (!any_contains(listener_.proxy_from, peer.client.address)) co_return true;
    std::string bytes;
    for (;;) {
        const auto parsed = wire::proxy_protocol::parse(bytes);
        if (!parsed) {
            log::warning("proxy-header-refused", {{"session", id_},
                                                  {"balancer", peer.client.text()},
                                                  {"reason", parsed.error().detail}});
            co_return false;
        }
        if (const auto* header = std::get_if<wire::proxy_protocol::Header>(&*parsed)) {
            if (!header->local) {
                peer.client = header->source;
                peer.local = header->destination;
                counted_ = peer.client.address;
            }
            co_return true;
        }
        // Not a byte more than the header: what follows may be a TLS handshake.
        const std::size_t wanted = std::get<wire::proxy_protocol::NeedMore>(*parsed).size;
        const std::size_t held = bytes.size();
        bytes.resize(wanted);
        const std::size_t got = co_await client_.read_some({bytes.data() + held, wanted - held});
        if (got == 0) co_return false;
        bytes.resize(held + got);
    }
}

Task<bool> Connection::admit(const Peer& peer) {
    const auto verdict = worker_.shared().guard.enter(counted_);
    if (verdict == ClientGuard::Verdict::Welcome) {
        is_counted_ = true;
        co_return true;
    }
    worker_.counters(listener_.service).refused.add();
    std::string why = "too many connections";
    if (verdict == ClientGuard::Verdict::TooManyFailures) why = "too many failed logins";
    if (verdict == ClientGuard::Verdict::TooManyFromAddress) why += " from its address";
    log::info("connection-refused",
              {{"session", id_}, {"client", peer.client.text()}, {"reason", why}});
    if (listener_.tls == cluster::TlsMode::Implicit) co_return false;
    const auto session = make_session(worker_, listener_, client_, peer);
    const bool failures = verdict == ClientGuard::Verdict::TooManyFailures;
    co_await client_.write(session->turned_away(failures
                                                    ? "Too many failed logins; try again later."
                                                    : "Too many connections; try again later."));
    co_return false;
}

Task<bool> Connection::accept_tls() {
    if (listener_.tls != cluster::TlsMode::Implicit) co_return true;
    const auto certificates = worker_.certificates();
    if (!certificates) {
        log::error("no-certificate", {{"listener", listener_.address.text()}});
        co_return false;
    }
    const auto done = co_await client_.accept_tls(*certificates);
    if (!done) log::info("tls-failed", {{"session", id_}, {"reason", done.error().detail}});
    co_return done.has_value();
}

Task<Connection::Server> Connection::identify_and_hand_over(ClientSession& session,
                                                            const Peer& peer) {
    for (;;) {
        auto login = co_await session.identify();
        if (!login) co_return nullptr;
        auto server = co_await hand_over(session, peer, *login);
        if (server) co_return std::move(*server);
        co_await answer_failure(session, peer, *login, server.error());
    }
}

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
    if (route && !route->known() && !worker_.may_hand_on_unknown()) {
        return fail(ErrorKind::Refused, "", "too many unknown names");
    }
    return route;
}

Task<Result<Connection::Server>> Connection::hand_over(ClientSession& session, const Peer& peer,
                                                       const Login& login) {
    if (!co_await begin_attempt()) {
        co_return fail(ErrorKind::Limit, "Too many failed logins; try again later.");
    }
    log_ = log::Level::Info;
    const std::uint64_t changes = worker_.shared().accounts.changes();
    const auto route = find_route(peer, login);
    if (!route) co_return std::unexpected(route.error());
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
    worker_.shared().guard.succeeded(counted_);
    attempting_ = false;
    const std::string ahead = session.take_rest();
    Upstream& upstream = *entered->upstream;
    if (!ahead.empty()) co_await upstream.stream().write(ahead);
    co_await client_.write(session.welcome(login, entry->before_success + entered->success) +
                           upstream.take_rest());
    co_return upstream.release();
}

Task<bool> Connection::begin_attempt() {
    constexpr net::Duration kPause{20};
    ClientGuard& guard = worker_.shared().guard;
    for (;;) {
        const auto turn = guard.begin(counted_);
        attempting_ = turn == ClientGuard::Turn::Now;
        if (turn != ClientGuard::Turn::Later) co_return attempting_;
        co_await net::Sleep(worker_.loop(), kPause);
        client_.descriptor().throw_if_ended();  // also when the time to log in is over
    }
}

Task<Result<Connection::Entered>> Connection::enter(ClientSession& session, const Peer& peer,
                                                    const cluster::Route& route,
                                                    UpstreamLogin login) {
    auto server = co_await worker_.upstream(listener_.service, route, peer);
    if (!server) co_return std::unexpected(server.error());
    auto success = co_await converse(session, *server, login);
    client_.descriptor().throw_if_ended();
    if (!success && server->was_waiting && server->upstream->silent()) {
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
        auto before = co_await session.conclude(std::move(step->step.text));
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
        const auto answer = co_await session.ask(step->step.text);
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
    // To judge credentials may take a while; to take an introduction does not. And a connection
    // that has waited proves by any word that its server still lives.
    const bool prompt = server.was_waiting || upstream.introduces();
    upstream.allow(prompt ? std::min(times.connect_time, times.login_time) : times.login_time,
                   times.login_time);
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
        auto answer = co_await session.ask(step->text);
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

Task<void> Connection::answer_failure(ClientSession& session, const Peer& peer, const Login& login,
                                      Error error) {
    Counters& counters = worker_.counters(listener_.service);
    net::Duration delay{0};
    if (error.kind == ErrorKind::Refused) {
        counters.denied.add();
        delay = worker_.shared().guard.failed(counted_);
        attempting_ = false;
    } else if (error.kind != ErrorKind::Syntax) {
        counters.unavailable.add();
    }
    if (std::exchange(attempting_, false)) {
        // A client that breaks off an exchange has used up an attempt, but has waited for nobody.
        ClientGuard& guard = worker_.shared().guard;
        error.kind == ErrorKind::Syntax ? void(guard.failed(counted_)) : guard.withdrawn(counted_);
    }
    // What is not the client's fault is more than information.
    const auto level =
        error.kind == ErrorKind::Unavailable ? log::Level::Warning : log::Level::Info;
    if (logs(level)) {
        log::write_line(level, "login-failed",
                        {{"session", id_},
                         {"service", cluster::name(listener_.service)},
                         {"client", peer.client.text()},
                         {"user", login.name},
                         {"mechanism", wire::sasl::name(login.mechanism)},
                         {"kind", name(error.kind)},
                         {"reason", error.detail}});
    }
    if (delay.count() != 0 && !worker_.draining()) {
        net::Sleep penalty(worker_.loop(), delay);
        penalty_ = &penalty;
        co_await penalty;
        penalty_ = nullptr;
    }
    co_await client_.write(session.refusal(login, error));
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)

void Connection::record(const Peer& peer, const cluster::Route& route) {
    worker_.counters(listener_.service).logins.add();
    handle_ = worker_.sessions().insert(
        {.id = id_,
         .account = route.login,
         .account_id = route.account,
         .service = listener_.service,
         .client = peer.client,
         .server = route.server->server.name,
         .since = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()),
         .tls = client_.encrypted()},
        *this);
    if (!logs(log::Level::Info)) return;
    log::write_line(log::Level::Info, "login",
                    {{"session", id_},
                     {"service", cluster::name(listener_.service)},
                     {"client", peer.client.text()},
                     {"user", route.login},
                     {"server", route.server->server.name},
                     {"tls", client_.tls_description()}});
}

bool Connection::logs(log::Level level) const {
    return log_ == log::Level::Info ? log::enabled(level) : level >= log_;
}

void Connection::ended(const net::Moved& moved) {
    pump_ = nullptr;
    Counters& counters = worker_.counters(listener_.service);
    counters.to_client.add(moved.to_client);
    counters.to_server.add(moved.to_server);
    if (moved.reason == net::EndReason::Failed) return failed("an error between client and server");
    if (!logs(log::Level::Info)) return;
    log::write_line(log::Level::Info, "logout",
                    {{"session", id_},
                     {"to_client", moved.to_client},
                     {"to_server", moved.to_server},
                     {"reason", net::name(moved.reason)}});
}

void Connection::failed(std::string_view why) {
    pump_ = nullptr;
    worker_.counters(listener_.service).failed.add();
    log::error("session-failed",
               {{"session", id_}, {"service", cluster::name(listener_.service)}, {"reason", why}});
}

void Connection::end(net::EndReason reason) {
    if (pump_ != nullptr) return pump_->abort(reason);
    client_.abort(reason);
    if (server_ != nullptr) server_->abort(reason);
    if (penalty_ != nullptr) penalty_->end_soon();
}

// Timers of one tick expire in the order they were armed: the refusal goes out before the farewell.
void Connection::dismiss() {
    if (penalty_ != nullptr) penalty_->end_soon();
    client_.expire_after(net::Duration{0});
    if (server_ != nullptr) server_->expire_after(net::Duration{0});
}

void Connection::kick(std::string_view reason) {
    if (logs(log::Level::Info)) {
        log::write_line(log::Level::Info, "kicked", {{"session", id_}, {"reason", reason}});
    }
    end(net::EndReason::Kicked);
}

}  // namespace muster::frontend
