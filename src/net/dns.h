#pragma once
// DNS for mail: MX, addresses, TLSA, TXT, names of addresses; validated (libunbound).

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/endpoint.h"
#include "base/task.h"
#include "net/loop.h"
#include "net/tlsa.h"

namespace muster::net {

enum class DnsType : std::uint16_t { A = 1, Ptr = 12, Mx = 15, Txt = 16, Aaaa = 28, Tlsa = 52 };

struct MxRecord {
    std::uint16_t preference = 0;
    std::string host;  ///< lower case, without the last dot; empty: the root (null MX, RFC 7505)
    friend bool operator==(const MxRecord&, const MxRecord&) = default;
};

/// What came of one question. The vector of the question's type is filled, at most kMaxRecords of
/// it; records that are malformed are left out.
struct DnsAnswer {
    enum class State : std::uint8_t {
        Found,
        NoData,  ///< the name exists, without records of this type
        NoName,  ///< NXDOMAIN
        Failed,  ///< SERVFAIL, time-out, no server, cut off: ask again later
        Bogus,   ///< DNSSEC says that somebody lies: ask again later
    };
    State state = State::Failed;
    bool secure = false;           ///< validated, data and absence of data alike
    unsigned ttl = 0;              ///< seconds
    std::string canonical_name{};  ///< at the end of CNAMEs; empty: the name itself
    std::string reason{};          ///< for the log, of Failed and Bogus
    std::vector<MxRecord> mx{};
    std::vector<IpAddress> addresses{};
    std::vector<TlsaRecord> tlsa{};
    std::vector<std::string> texts{};  ///< TXT, each the strings of one record put together
    std::vector<std::string> names{};  ///< PTR, lower case, without the last dot

    static constexpr std::size_t kMaxRecords = 100;
};

struct ResolverSettings {
    /// "192.0.2.53" or "192.0.2.53@5353"; empty: those of `resolv_conf`.
    std::vector<std::string> servers{};
    std::string resolv_conf = "/etc/resolv.conf";  ///< empty and no servers: from the root down
    std::string hosts_file{};    ///< names that are answered from there; empty: none
    std::string trust_anchor{};  ///< file with DS or DNSKEY of the root; empty: nothing is secure
    Duration time_out{15'000};   ///< of one question, in all
};

/// One resolver with one cache for the process, on two threads of its own; questions may be asked
/// from any loop. Destroy it when no question waits.
class Resolver {
public:
    /// Fails when a setting cannot be used; says which.
    static Result<std::unique_ptr<Resolver>> create(const ResolverSettings& settings = {});
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    /// Asks for `name` (A-labels, a last dot is allowed) and resumes on `loop`, the caller's.
    /// Names of more than 253 octets or with odd characters are NoName without a question.
    /// `patience` bounds it besides ResolverSettings::time_out. Failed at once while too many wait
    /// for an answer whose askers have gone: first for who brings less patience than that.
    Task<DnsAnswer> ask(Loop& loop, std::string name, DnsType type,
                        Duration patience = Duration::max());
    /// On the thread of `loop`: questions that wait there fail at once.
    void give_up(Loop& loop);
    /// PTR of an address.
    Task<DnsAnswer> names_of(Loop& loop, IpAddress address);

    struct Impl;

private:
    explicit Resolver(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// "7.2.0.192.in-addr.arpa" or the nibbles of ip6.arpa.
std::string reverse_name(const IpAddress& address);

}  // namespace muster::net
