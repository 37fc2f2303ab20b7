#include "frontend/connection.h"

#include <array>

#include "base/log_line.h"
#include "frontend/arrival.h"
#include "frontend/imap_session.h"
#include "frontend/pop3_session.h"
#include "frontend/sieve_session.h"

namespace muster::frontend {
namespace {

constexpr net::Duration kFarewellTime{2'000};

}  // namespace

// Phases of one story: what they refer to lives in log_in(), which awaits them.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)

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
        if (!co_await read_proxy_header(client_, listener_, peer)) co_return nullptr;
        counted_ = peer.client.address;
        if (!co_await admit(peer)) co_return nullptr;
        const bool safe =
            co_await accept_implicit_tls(client_, listener_, worker_.certificates(), peer);
        if (!safe) co_return nullptr;
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

Task<Connection::Server> Connection::identify_and_hand_over(ClientSession& session,
                                                            const Peer& peer) {
    for (;;) {
        auto login = co_await session.identify();
        if (!login) co_return nullptr;
        LoginAttempt attempt(worker_, session, peer, attempt_);
        auto server = co_await hand_over(session, peer, *login, attempt);
        if (server) co_return std::move(*server);
        co_await answer_failure(session, peer, *login, attempt, server.error());
    }
}

Task<void> Connection::answer_failure(ClientSession& session, const Peer& peer, const Login& login,
                                      LoginAttempt& attempt, Error error) {
    Counters& counters = worker_.counters(listener_.service);
    net::Duration delay{0};
    if (error.kind == ErrorKind::Refused) {
        counters.denied.add();
        delay = attempt.failed();
    } else if (error.kind == ErrorKind::Syntax) {
        // A client that breaks off an exchange has used up an attempt, but has waited for nobody.
        if (attempt.under_way()) attempt.failed();
    } else {
        counters.unavailable.add();
        attempt.withdrawn();
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
    if (attempt_ != nullptr) attempt_->end(reason);
    if (penalty_ != nullptr) penalty_->end_soon();
}

// Timers of one tick expire in the order they were armed: the refusal goes out before the farewell.
void Connection::dismiss() {
    if (penalty_ != nullptr) penalty_->end_soon();
    client_.expire_after(net::Duration{0});
    if (attempt_ != nullptr) attempt_->hurry();
}

void Connection::kick(std::string_view reason) {
    if (logs(log::Level::Info)) {
        log::write_line(log::Level::Info, "kicked", {{"session", id_}, {"reason", reason}});
    }
    end(net::EndReason::Kicked);
}

}  // namespace muster::frontend
