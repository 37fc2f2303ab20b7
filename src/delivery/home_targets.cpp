#include "delivery/home_targets.h"

namespace muster::delivery {
namespace {

MailTls tls_of(cluster::TlsMode mode) {
    switch (mode) {
        case cluster::TlsMode::None: return MailTls::None;
        case cluster::TlsMode::StartTls: return MailTls::Required;
        case cluster::TlsMode::Implicit: return MailTls::Implicit;
    }
    return MailTls::Required;
}

}  // namespace

Result<std::shared_ptr<const MailTarget>> HomeTargets::find(const cluster::MailServer& home) {
    const cluster::Server& server = home.server->server;
    const auto from = targets_.target(*home.server, home.service);
    if (!from) return std::unexpected(from.error());
    const auto address = hosts_.find(server.host);
    if (!address) return std::unexpected(address.error());
    const Endpoint endpoint{*address, server.service(home.service)->port};
    Known& known = known_[{server.name, endpoint}];
    if (known.from == *from) return known.target;
    const std::string service(cluster::name(home.service));
    MailTarget target{
        .key = server.name.text + '/' + service + '/' + std::to_string(++made_),
        .name = server.name.text,
        .endpoint = endpoint,
        .source = targets_.source(server, *address),
        .protocol =
            home.service == cluster::Service::Lmtp ? MailProtocol::Lmtp : MailProtocol::Smtp,
        .tls = tls_of((*from)->tls),
        .trust = (*from)->trust,
        .tls_name = (*from)->tls_name,
        .helo = helo_,
        .introduce = server.introduce == cluster::Introduce::Xclient,
        .proxy = server.introduce == cluster::Introduce::Proxy,
        .introduce_ahead = server.kind == cluster::ServerKind::Dovecot,
    };
    if (home.is_exit) {
        target.introduce = true;
        if (auto opened = open_to_strangers(target); !opened) {
            return std::unexpected(opened.error());
        }
    }
    known = {*from, std::make_shared<const MailTarget>(std::move(target))};
    return known.target;
}

Result<> HomeTargets::open_to_strangers(MailTarget& target) {
    if (!nothing_) {
        auto made = net::TlsClient::create({.kind = net::TlsTrust::Kind::Nothing});
        if (!made) return std::unexpected(made.error());
        nothing_ = *made;
    }
    target.tls = MailTls::Opportunistic;
    target.trust = nothing_;
    return {};
}

}  // namespace muster::delivery
