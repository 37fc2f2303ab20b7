#pragma once
// What every client connection begins with, whatever its protocol.

#include "frontend/client_session.h"
#include "frontend/settings.h"
#include "net/socket_stream.h"

namespace muster::frontend {

// What is passed by reference outlives the await. They throw ConversationOver.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)

/// Reads the PROXY header (v1 or v2) of a listed balancer and puts what it says into `peer`; other
/// clients send none. False: no header came, or a wrong one.
Task<bool> read_proxy_header(net::SocketStream& client, const ListenerSettings& listener,
                             Peer& peer);

/// The handshake where the listener's TLS is implicit. False: it failed.
Task<bool> accept_implicit_tls(net::SocketStream& client, const ListenerSettings& listener,
                               std::shared_ptr<const net::TlsServer> certificates,
                               const Peer& peer);

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)

}  // namespace muster::frontend
