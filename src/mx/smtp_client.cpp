// Who the client of an SMTP session is: its name from DNS, or what a listed peer says (XCLIENT).
#include "base/log.h"
#include "mx/mail_service.h"
#include "mx/smtp_session.h"

namespace muster::mx {

void SmtpSession::look_up_client() {
    client_name_ = {};
    looking_up_.reset();
    const IpAddress& client = peer_.client.address;
    const bool is_listed = any_contains(service_.settings().xclient_from, client);
    const bool is_stranger = !submits() && !client.is_loopback() && !client.is_unspecified() &&
                             !is_listed && !is_trusted_to_relay();
    if (is_stranger && service_.settings().client_names) {
        looking_up_ = service_.client_names().find(client);
    }
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
    // What is said to be unknown is nobody's: not the client's before.
    const bool is_another = facts->address.said != wire::smtp::Said::Nothing;
    if (is_another || facts->login.said != wire::smtp::Said::Nothing) login_.clear();
    if (facts->login.given()) login_ = account_of(facts->login.value);
    if (facts->address.said != wire::smtp::Said::Nothing) changeable_peer_.client = {};
    if (facts->address.given()) changeable_peer_.client.address = facts->address.value;
    if (facts->port.given()) changeable_peer_.client.port = facts->port.value;
    take_client_name(*facts);
    reset();
    helo_.clear();
    if (facts->helo.given()) helo_ = facts->helo.value;
    co_await greet();
    co_return Next::Go;
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
void SmtpSession::take_client_name(const wire::smtp::Xclient& facts) {
    using State = ClientName::State;
    if (facts.name.said == wire::smtp::Said::Nothing) {
        if (facts.address.given()) look_up_client();
        return;
    }
    looking_up_.reset();
    const bool is_late = facts.name.said == wire::smtp::Said::TemporarilyUnavailable;
    client_name_ = {.state = is_late ? State::TempError : State::PermError};
    if (facts.name.given() && is_host_name(facts.name.value)) {
        client_name_ = {.state = State::Pass, .name = facts.name.value};
    }
}

}  // namespace muster::mx
