#pragma once
// From a destination to the hosts that take its mail, in the order in which they are tried
// (RFC 5321, 5.1; RFC 7505).

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/endpoint.h"
#include "delivery/transaction.h"
#include "net/dns.h"

namespace muster::delivery {

/// Where mail goes that nobody here keeps.
struct Destination {
    enum class Kind : std::uint8_t {
        Domain,  ///< by its MX records, or its addresses
        Host,    ///< this host's addresses (a smart host in brackets, `[mail.example.net]:587`)
    };
    Kind kind = Kind::Domain;
    std::string name;  ///< lower case, A-labels; or an address
    std::uint16_t port = 25;

    /// A recipient's domain as it stands behind the `@`: a name, or `[192.0.2.1]`, `[IPv6:…]`.
    static Result<Destination> of_domain(std::string_view domain);
    /// `example.net`, `[mail.example.net]`, `[192.0.2.1]:587`, `mail.example.net:25`,
    /// `[IPv6:2001:db8::1]:25`.
    static Result<Destination> parse(std::string_view text);
    /// As parse() reads it.
    [[nodiscard]] std::string text() const;
    friend bool operator==(const Destination&, const Destination&) = default;
};

/// One address of one host.
struct MxAddress {
    std::string host;  ///< as MX names it: the name for TLS
    Endpoint endpoint{};
    std::uint16_t preference = 0;
    /// MX and addresses were validated: TLSA records of `tlsa_host` may be asked for (RFC 7672).
    bool secure = false;
    std::string tlsa_host{};  ///< host, or what its CNAME leads to (RFC 7672, 2.2.2)

    friend bool operator==(const MxAddress&, const MxAddress&) = default;
};

/// The hosts, or why there are none.
struct MxHosts {
    std::vector<MxAddress> addresses{};
    bool mx_secure = false;  ///< the MX records (or their absence) were validated
    /// Set when there is no address to try: Refused 5.1.2 (no such domain), 5.1.10 (null MX), 5.4.4
    /// (no host has an address), 5.4.6 (it is ourselves); Deferred 4.4.3 (DNS failed), and 4.4.4,
    /// 4.4.6 for a smart host.
    RecipientResult failure{};
    unsigned ttl = 0;  ///< seconds for which the answer holds
};

struct MxRules {
    std::size_t hosts = 10;      ///< MX hosts that are looked up
    std::size_t addresses = 20;  ///< that are tried
    /// Where this mail exchanger receives mail itself, for loops: names (lower case) and addresses.
    std::vector<std::string> own_names{};
    std::vector<IpAddress> own_addresses{};
    bool ipv4 = true;
    bool ipv6 = true;
    /// Equal preferences are shuffled with this: a number below its argument.
    std::function<std::size_t(std::size_t)> random{};
};

/// What is to be looked up for a domain: MX hosts by preference, equal ones shuffled, at most
/// `rules.hosts`; cut off at ourselves (a name of ours). Without MX the domain itself.
struct MxPlan {
    struct Host {
        std::string name;
        std::uint16_t preference = 0;
    };
    std::vector<Host> hosts{};
    bool secure = false;
    RecipientResult failure{};  ///< counts when there are no hosts
    bool loops = false;         ///< hosts were cut off because one of them is ourselves
};
MxPlan plan_hosts(const std::string& domain, const net::DnsAnswer& mx, const MxRules& rules);

/// What was found for one host of the plan.
struct HostAnswer {
    net::DnsAnswer v4{};
    net::DnsAnswer v6{};
};
/// Puts the plan's hosts and their answers (in the same order) together: IPv6 and IPv4 of a host
/// in turn, IPv6 first; an address of ours cuts off its host and all of equal or worse preference.
MxHosts put_together(const MxPlan& plan, const std::vector<HostAnswer>& answers, std::uint16_t port,
                     const MxRules& rules);

/// All of it. Never throws. `loop` is the caller's.
Task<MxHosts> find_hosts(net::Loop& loop, net::Resolver& resolver, Destination destination,
                         MxRules rules);

}  // namespace muster::delivery
