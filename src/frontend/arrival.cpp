#include "frontend/arrival.h"

#include "base/log.h"
#include "wire/proxy_protocol.h"

namespace muster::frontend {

// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)

Task<bool> read_proxy_header(net::SocketStream& client, const ListenerSettings& listener,
                             Peer& peer) {
    if (!any_contains(listener.proxy_from, peer.client.address)) co_return true;
    std::string bytes;
    for (;;) {
        const auto parsed = wire::proxy_protocol::parse(bytes);
        if (!parsed) {
            log::warning("proxy-header-refused", {{"session", peer.session},
                                                  {"balancer", peer.client.text()},
                                                  {"reason", parsed.error().detail}});
            co_return false;
        }
        if (const auto* header = std::get_if<wire::proxy_protocol::Header>(&*parsed)) {
            if (!header->local) {
                peer.client = header->source;
                peer.local = header->destination;
            }
            co_return true;
        }
        // Not a byte more than the header: what follows may be a TLS handshake.
        const std::size_t wanted = std::get<wire::proxy_protocol::NeedMore>(*parsed).size;
        const std::size_t held = bytes.size();
        bytes.resize(wanted);
        const std::size_t got = co_await client.read_some({bytes.data() + held, wanted - held});
        if (got == 0) co_return false;
        bytes.resize(held + got);
    }
}

Task<bool> accept_implicit_tls(net::SocketStream& client, const ListenerSettings& listener,
                               std::shared_ptr<const net::TlsServer> certificates,
                               const Peer& peer) {
    if (listener.tls != cluster::TlsMode::Implicit) co_return true;
    if (!certificates) {
        log::error("no-certificate", {{"listener", listener.address.text()}});
        co_return false;
    }
    const auto done = co_await client.accept_tls(*certificates);
    if (!done) {
        log::info("tls-failed", {{"session", peer.session}, {"reason", done.error().detail}});
    }
    co_return done.has_value();
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)

}  // namespace muster::frontend
