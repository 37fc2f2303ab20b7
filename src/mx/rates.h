#pragma once
// How much mail a client or an account may bring, and what happens to who guesses addresses.

#include <string>

#include "base/endpoint.h"
#include "mx/settings.h"
#include "mx/window_counter.h"

namespace muster::mx {

/// Shared by the workers of a front end; thread-safe. A client is a client_network(): an IPv6 /64
/// counts as one. Limits of 0 are none.
class Rates {
public:
    explicit Rates(const Settings& settings) : settings_(settings) {}

    /// Another connection of a client; false: it has had as many as it may within a minute.
    bool take_connection(const IpAddress& client);
    /// Another message of a client; false: as many as it may within a minute.
    bool take_message(const IpAddress& client);
    /// Another recipient that an account sends to; false: as many as it may within an hour. A
    /// stolen password must not make the site a source of spam.
    bool take_recipient(const std::string& account);
    /// Recipients that nobody is; true: too many within five minutes, over all of its sessions.
    /// Dictionary attacks end here.
    bool note_unknown(const IpAddress& client, std::uint32_t count);

private:
    const Settings& settings_;
    WindowCounter<IpAddress> connections_{net::Duration{60'000}};
    WindowCounter<IpAddress> messages_{net::Duration{60'000}};
    WindowCounter<std::string> recipients_{net::Duration{3'600'000}};
    WindowCounter<IpAddress> unknown_{net::Duration{300'000}};
};

}  // namespace muster::mx
