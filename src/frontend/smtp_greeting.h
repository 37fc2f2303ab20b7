#pragma once
// What LMTP and submission servers are asked when they are checked.

#include "base/task.h"
#include "frontend/upstream.h"

namespace muster::frontend {

bool is_smtp(cluster::Service service);

/// TLS where the target's is implicit, and the greeting, which is the same for LMTP and submission
/// (RFC 5321, 4.3.1); nothing more is said. The deadline is the caller's. Throws ConversationOver.
Task<Result<>> read_smtp_greeting(net::SocketStream& stream, const UpstreamTarget& target);

/// After the greeting of a server whose target says STARTTLS: TLS, so far as the server offers it
/// and its certificate is good. The deadline is the caller's. Throws ConversationOver.
Task<void> start_smtp_tls(net::SocketStream& stream, const UpstreamTarget& target);

}  // namespace muster::frontend
