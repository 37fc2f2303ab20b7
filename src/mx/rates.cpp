#include "mx/rates.h"

#include "base/client_network.h"

namespace muster::mx {

bool Rates::take_connection(const IpAddress& client) {
    return settings_.client_connections == 0 ||
           connections_.add(client_network(client)) <= settings_.client_connections;
}

bool Rates::take_message(const IpAddress& client) {
    return settings_.client_messages == 0 ||
           messages_.add(client_network(client)) <= settings_.client_messages;
}

bool Rates::take_recipient(const std::string& account) {
    return recipients_.add(account) <= settings_.account_recipients;
}

bool Rates::note_unknown(const IpAddress& client, std::uint32_t count) {
    return unknown_.add(client_network(client), count) > settings_.unknown_recipients;
}

}  // namespace muster::mx
