// Who the client of an SMTP session is: its name from DNS, or what a listed peer says (XCLIENT).
#include "base/log.h"
#include "mx/mail_service.h"
#include "mx/smtp_session.h"

namespace muster::mx {

using wire::smtp::Said;

namespace {

template <typename T>
void merge(wire::smtp::Attribute<T>& known, const wire::smtp::Attribute<T>& said) {
    if (said.said != Said::Nothing) known = said;
}

/// What is said later counts.
void merge(wire::smtp::Xclient& known, const wire::smtp::Xclient& said) {
    merge(known.name, said.name);
    merge(known.address, said.address);
    merge(known.port, said.port);
    merge(known.helo, said.helo);
    merge(known.login, said.login);
}

}  // namespace

void SmtpSession::look_up_client() {
    client_name_ = {};
    looking_up_.reset();
    if (submits() || !service_.settings().client_names) return;
    const IpAddress& client = peer_.client.address;
    const bool is_stranger = !client.is_loopback() && !client.is_unspecified() &&
                             !any_contains(service_.settings().xclient_from, client) &&
                             !is_trusted_to_relay();
    if (is_stranger) looking_up_ = service_.client_names().find(client);
}

Task<void> SmtpSession::learn_client_name() {
    if (!looking_up_) co_return;
    client_name_ = co_await service_.client_names().result(std::exchange(looking_up_, {}));
    client_.descriptor().throw_if_ended();
    log::info("client-name", {{"session", peer_.session},
                              {"client", peer_.client.text()},
                              {"name", client_name_.name},
                              {"iprev", iprev(client_name_.state)}});
}

Task<SmtpSession::Next> SmtpSession::xclient(std::string_view rest) {
    if (transaction_ || !may_introduce_) {
        complain({550, "5.7.0", "Not from you, or not now"});
        co_return Next::Go;
    }
    const auto facts = wire::smtp::parse_xclient(rest);
    if (!facts) {
        complain(facts.error());
        co_return Next::Go;
    }
    co_await flush();  // recipients that were guessed count for who guessed them
    if (facts->address.said != Said::Nothing) settle_refusals();
    helo_.clear();
    take_introduction(*facts);
    reset();
    co_await greet();
    co_return Next::Go;
}

/// What is told before the next message is told of one client, in whatever order; a second address
/// is another client's. What is said to be unknown, or nothing is said of, is nobody's: not that of
/// the client before.
void SmtpSession::take_introduction(const wire::smtp::Xclient& facts) {
    const bool is_another = facts.address.said != Said::Nothing;
    if (is_another && told_.address.said != Said::Nothing) told_ = {};
    introduced_ = true;
    merge(told_, facts);
    Endpoint& client = changeable_peer_.client;
    if (is_another) client.address = told_.address.given() ? told_.address.value : IpAddress();
    if (is_another || facts.port.said != Said::Nothing) {
        client.port = told_.port.given() ? told_.port.value : 0;
    }
    if (is_another || facts.login.said != Said::Nothing) {
        login_ = told_.login.given() ? account_of(told_.login.value) : std::string();
    }
    if (is_another || facts.name.said != Said::Nothing) take_client_name(told_.name);
    if (told_.helo.given()) helo_ = told_.helo.value;
}

/// Who connected is the client again (RFC 3207, 4.2).
void SmtpSession::forget_introduction() {
    if (!std::exchange(introduced_, false)) return;
    told_ = {};
    settle_refusals();
    changeable_peer_.client = connected_;
    look_up_client();
}

/// Refused recipients are told of the client that named them.
void SmtpSession::settle_refusals() {
    service_.refusal_log().tell(refusals_, peer_.session, peer_.client, helo_);
    refusals_ = {};
}

/// The account that has the name; empty when nobody has it, or may not log in now.
std::string SmtpSession::account_of(const std::string& name) {
    const std::string tls_name = client_.tls_server_name();
    const auto located = service_.worker().directory().locate(name, context(tls_name));
    if (!located || !located->known || located->disabled) {
        log::info("xclient-login-unknown", {{"session", peer_.session}, {"user", name}});
        return {};
    }
    return located->address.text;
}

/// A name is looked up here where the peer says nothing of it.
void SmtpSession::take_client_name(const wire::smtp::Attribute<std::string>& name) {
    using State = ClientName::State;
    if (name.said == Said::Nothing) return look_up_client();
    looking_up_.reset();
    const bool is_late = name.said == Said::TemporarilyUnavailable;
    client_name_ = {.state = is_late ? State::TempError : State::PermError};
    if (name.given() && is_host_name(name.value)) {
        client_name_ = {.state = State::Pass, .name = name.value};
    }
}

}  // namespace muster::mx
