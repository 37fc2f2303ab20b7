#pragma once
// What the mail service of a front end is told by its node's file, as plain values.

#include <cstdint>
#include <string>
#include <vector>

#include "base/endpoint.h"
#include "net/timer.h"

namespace muster::mx {

struct Settings {
    std::string host_name;          ///< in greetings, towards servers, in `Received`
    std::string authserv_id;        ///< in Authentication-Results
    std::size_t recipients = 1000;  ///< of a message
    std::uint64_t message_bytes = std::uint64_t{50} << 20;
    std::size_t memory_bytes = std::size_t{32} << 10;  ///< of a message; the rest goes to disk
    std::size_t hops = 50;                             ///< `Received` fields; more are a loop
    std::size_t errors = 20;                           ///< of a session, then it is sent away
    std::size_t unknown_recipients = 100;     ///< of one address in five minutes, then it is slowed
    std::uint64_t account_recipients = 2000;  ///< that one account may name in an hour
    std::uint64_t client_connections = 0;     ///< of one address in a minute; 0: any number
    std::uint64_t client_messages = 0;        ///< alike
    net::Duration tarpit{1'000};              ///< for each packet of who is slowed
    net::Duration idle{300'000};              ///< between commands, and between pieces of a message
    net::Duration message{1'800'000};         ///< to arrive, and a second more for each KiB of it
    net::Duration in_line{60'000};            ///< for all servers together to take a message
    net::Duration stale_after{900'000};  ///< a replica silent for so long knows no unknown address
    std::vector<Network> xclient_from;   ///< peers whose XCLIENT is believed
    std::vector<Network> relay_from;     ///< peers that may send to anywhere
    bool client_names = true;            ///< names of clients are looked up
    bool store = true;                   ///< false: nothing is queued (in-line delivery only)
};

}  // namespace muster::mx
