#pragma once
// Telling systemd what becomes of the service (sd_notify(3), Type=notify), without its library.

#include <string_view>

namespace muster::admin {

/// One datagram to $NOTIFY_SOCKET; does nothing where nobody listens. `state` is lines such as
/// "READY=1\nSTATUS=…".
void notify_service(std::string_view state);

void notify_ready();
/// Followed by notify_ready() once the reload is over.
void notify_reloading();
void notify_stopping();

}  // namespace muster::admin
