#pragma once
// Names of clients from DNS: what their address points to, if that name leads back to it.

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/endpoint.h"
#include "base/task.h"
#include "net/dns.h"
#include "net/loop.h"

namespace muster::mx {

/// What was found; the states are the results of RFC 8601, 2.7.3.
struct ClientName {
    enum class State : std::uint8_t {
        Unasked,
        Pass,       ///< `name` leads back to the address
        Fail,       ///< the address points to names that lead elsewhere
        PermError,  ///< the address points to no name
        TempError,  ///< DNS gave no answer in time
    };
    State state = State::Unasked;
    std::string name{};  ///< of Pass: letters, digits, dots and hyphens, at most 253 octets

    friend bool operator==(const ClientName&, const ClientName&) = default;
};

/// "pass", "fail", "permerror", "temperror" (RFC 8601, 2.7.3); empty when nobody asked.
std::string_view iprev(ClientName::State state);
/// Whether a name from elsewhere may be told on: text of PTR records was injected into protocols
/// (CVE-2026-28753).
bool is_host_name(std::string_view name);
/// The names of a PTR answer that are worth asking for: host names, a few of them. Pure.
std::vector<std::string> names_to_confirm(const net::DnsAnswer& pointers);

/// One worker's look-ups and what came of the last few thousand. On its loop's thread; destroyed
/// when none is under way. Memory and questions are bounded.
class ClientNames {
public:
    static constexpr net::Duration kPatience{2'000};  ///< for a whole look-up

    /// A look-up, shared by all sessions of one address.
    class LookUp;
    using Handle = std::shared_ptr<LookUp>;

    /// `resolver` may be null: then nothing is found.
    ClientNames(net::Loop& loop, net::Resolver* resolver) : loop_(loop), resolver_(resolver) {}

    /// Starts to look, unless it is known already.
    Handle find(const IpAddress& client);
    /// What was found, at the latest kPatience after the look-up began.
    Task<ClientName> result(Handle look_up);

private:
    Task<void> run(Handle look_up);
    Task<ClientName> resolve(IpAddress client);
    void make_room();

    net::Loop& loop_;
    net::Resolver* resolver_;
    std::unordered_map<IpAddress, Handle> known_;
    std::size_t under_way_ = 0;
};

class ClientNames::LookUp {
public:
    explicit LookUp(const IpAddress& client) : client_(client) {}

private:
    friend class ClientNames;
    void finish(ClientName found);

    IpAddress client_;
    ClientName found_;
    bool done_ = false;
    net::Clock::time_point since_ = net::Clock::now();
    net::Clock::time_point until_ = net::Clock::time_point::max();  ///< once done: it is forgotten
    std::vector<net::Sleep*> waiting_;
};

}  // namespace muster::mx
