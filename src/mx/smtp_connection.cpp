#include "mx/smtp_connection.h"

#include "base/log.h"
#include "frontend/arrival.h"
#include "mx/mail_service.h"

namespace muster::mx {
namespace {

constexpr net::Duration kFarewellTime{2'000};

}  // namespace

SmtpConnection::SmtpConnection(MailService& service, const frontend::ListenerSettings& listener,
                               int fd)
    : service_(service), listener_(listener), client_(service.worker().loop(), fd) {
    peer_.session = service.worker().new_session_id();
    next_ = std::exchange(service.connections_, this);
    if (next_ != nullptr) next_->previous_ = this;
}

SmtpConnection::~SmtpConnection() {
    if (is_counted_) service_.worker().shared().guard.leave(counted_);
    (previous_ == nullptr ? service_.connections_ : previous_->next_) = next_;
    if (next_ != nullptr) next_->previous_ = previous_;
}

Task<void> SmtpConnection::run(Endpoint client, Endpoint local) {
    peer_.client = client;
    peer_.local = local;
    auto reason = net::EndReason::None;
    try {
        client_.expire_after(service_.settings().idle);
        if (!co_await arrive()) co_return;
        session_.emplace(service_, listener_, client_, peer_);
        co_await session_->greet();
        co_return co_await session_->serve();
    } catch (const net::ConversationOver& over) {
        reason = over.reason();
    }
    const bool draining = service_.worker().draining();
    if (draining && reason == net::EndReason::Deadline) reason = net::EndReason::Draining;
    log::info("connection-ended", {{"session", peer_.session},
                                   {"client", peer_.client.text()},
                                   {"reason", net::name(reason)}});
    if (!session_) co_return;
    const std::string last = session_->take_pending() + session_->farewell(reason);
    if (last.empty()) co_return;
    try {
        co_await net::within(client_, kFarewellTime, client_.write(last));
    } catch (const net::ConversationOver&) {
        log::debug("farewell-unheard", {{"session", peer_.session}});
    }
}

Task<bool> SmtpConnection::arrive() {
    if (!co_await frontend::read_proxy_header(client_, listener_, peer_)) co_return false;
    counted_ = peer_.client.address;
    using Verdict = frontend::ClientGuard::Verdict;
    const Verdict verdict = service_.worker().shared().guard.enter(counted_);
    is_counted_ = verdict == Verdict::Welcome;
    if (!is_counted_) {
        service_.worker().counters(listener_.service).refused.add();
        log::info("connection-refused", {{"session", peer_.session},
                                         {"client", peer_.client.text()},
                                         {"reason", "too many connections or failed logins"}});
        co_await turn_away();
        co_return false;
    }
    if (!may_connect()) {
        service_.worker().counters(listener_.service).refused.add();
        log::info("connection-refused", {{"session", peer_.session},
                                         {"client", peer_.client.text()},
                                         {"reason", "too many connections in a minute"}});
        co_await turn_away();
        co_return false;
    }
    co_return co_await frontend::accept_implicit_tls(client_, listener_,
                                                     service_.worker().certificates(), peer_);
}

bool SmtpConnection::may_connect() const {
    const Settings& settings = service_.settings();
    const IpAddress& client = peer_.client.address;
    return settings.client_connections == 0 || any_contains(settings.xclient_from, client) ||
           any_contains(settings.relay_from, client) || service_.is_own_server(client) ||
           service_.shared().rates.take_connection(client);
}

Task<void> SmtpConnection::turn_away() {
    if (listener_.tls == cluster::TlsMode::Implicit) co_return;
    co_await client_.write("421 4.7.0 " + service_.settings().host_name +
                           " Too many connections; try again later\r\n");
}

void SmtpConnection::dismiss() {
    if (session_ && !session_->between_messages()) return;
    client_.expire_after(net::Duration{0});
    if (session_) session_->hurry_login();
}

void SmtpConnection::end(net::EndReason reason) {
    client_.abort(reason);
    if (session_) session_->end_login(reason);
}

}  // namespace muster::mx
