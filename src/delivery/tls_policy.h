#pragma once
// Which TLS a destination gets: the domain's own setting, DANE (RFC 7672) and MTA-STS (RFC 8461).

#include <optional>
#include <string>
#include <vector>

#include "cluster/entries.h"
#include "delivery/mail_target.h"
#include "delivery/mx_hosts.h"
#include "net/dns.h"

namespace muster::delivery {

/// A domain's own setting.
using TlsSetting = cluster::OutgoingTls;

/// What DNS said of a host's TLSA records.
struct DaneFacts {
    enum class State : std::uint8_t {
        Absent,    ///< not secure, or validated that there are none
        Present,   ///< `records`, validated
        Unusable,  ///< validated, but none of them can be used: TLS without verification
        Failed,    ///< look-up failed or bogus where it had to be secure: this host is not used
    };
    State state = State::Absent;
    std::vector<net::TlsaRecord> records{};
    std::string base{};  ///< where they were found: the name for SNI and the certificate
};
/// DANE-EE(3) and DANE-TA(2) with known selector and matching type are usable (RFC 7672, 3.1).
DaneFacts dane_facts(const net::DnsAnswer& tlsa);
/// Asks for `_PORT._tcp.HOST` when the host's addresses were secure: under the name that its CNAME
/// leads to, then under its own (RFC 7672, 2.2.2).
Task<DaneFacts> find_dane(net::Loop& loop, net::Resolver& resolver, MxAddress host);

/// What the destination's MTA-STS policy means for one of its MX hosts.
enum class StsVerdict : std::uint8_t {
    None,      ///< no policy, or mode none
    Testing,   ///< mode testing
    Match,     ///< mode enforce, and the host is one of the policy's
    Mismatch,  ///< mode enforce, and it is not: this host is not used
};

struct TlsPolicy {
    bool usable = true;  ///< false: mail must not go to this host now; `reason` says why
    MailTls mode = MailTls::Opportunistic;
    enum class Verify : std::uint8_t { Nothing, Authority, Dane } verify = Verify::Nothing;
    std::string reason{};
    friend bool operator==(const TlsPolicy&, const TlsPolicy&) = default;
};
TlsPolicy tls_policy(TlsSetting setting, const DaneFacts& dane, StsVerdict sts);

/// The client for a policy that has TLS. Those without TLSA records are made once and shared. For
/// Verify::Dane MailTarget::tls_name is the facts' `base`, and `also_names` the domain whose MX
/// records were validated. Thread-safe.
Result<std::shared_ptr<const net::TlsClient>> tls_client(const TlsPolicy& policy,
                                                         const DaneFacts& dane,
                                                         std::vector<std::string> also_names = {});

}  // namespace muster::delivery
