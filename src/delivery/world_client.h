#pragma once
// Messages to destinations that nobody here keeps: hosts, TLS and fall-back among them.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "delivery/mail_client.h"
#include "delivery/mx_hosts.h"
#include "delivery/sts_cache.h"
#include "delivery/tls_policy.h"

namespace muster::delivery {

/// How mail goes to one destination: a domain's own settings, or the node's.
struct WorldRoute {
    Destination destination{};
    std::string helo{};
    TlsSetting tls = TlsSetting::Automatic;
    /// Taken in turns, those of the host's address family; none: the kernel's choice.
    std::vector<IpAddress> sources{};
    std::optional<MailLogin> login{};  ///< a smart host's
};

struct WorldResult {
    TransactionResult result;
    std::string server{};  ///< asked last: "mx.example.org[192.0.2.1]:25"; empty: none
};

struct WorldLimits {
    unsigned sessions = 2;  ///< hosts that are asked for one message, once they greet
    /// An address that could not be reached is left out so long while there are others.
    net::Duration unreachable{60'000};
};

/// One thread's; what is passed by reference outlives it. `sts` may be null: MTA-STS is not used.
class WorldClient {
public:
    WorldClient(net::Loop& loop, net::Resolver& resolver, MailClient& client, StsCache* sts,
                MxRules rules, WorldLimits limits = {})
        : loop_(loop),
          resolver_(resolver),
          client_(client),
          sts_(sts),
          rules_(std::move(rules)),
          limits_(limits) {}

    /// Never throws. Hosts are tried in their order until one greets; recipients that it defers are
    /// given to the next one, and so on for WorldLimits::sessions hosts (RFC 5321, 5.1). `reached`
    /// is false when none greeted.
    Task<WorldResult> send(WorldRoute route, Transaction transaction);

private:
    struct Try;

    Task<void> try_host(Try& each, const WorldRoute& route, const MxHosts& hosts,
                        const MxAddress& host);
    Task<std::shared_ptr<const MailTarget>> target_of(const WorldRoute& route, const MxHosts& hosts,
                                                      const MxAddress& host,
                                                      RecipientResult* failure);
    Result<std::shared_ptr<const MailTarget>> make_target(const WorldRoute& route,
                                                          const MxHosts& hosts,
                                                          const MxAddress& host,
                                                          const TlsPolicy& policy,
                                                          const DaneFacts& dane);
    std::optional<IpAddress> next_source(const WorldRoute& route, const IpAddress& host);
    /// Those that were reached lately, or not tried, first.
    std::vector<MxAddress> hopeful_first(std::vector<MxAddress> addresses);

    net::Loop& loop_;
    net::Resolver& resolver_;
    MailClient& client_;
    StsCache* sts_;
    const MxRules rules_;
    const WorldLimits limits_;
    std::map<std::string, std::shared_ptr<const MailTarget>> targets_;  ///< by key
    std::map<Endpoint, net::Clock::time_point> unreachable_;            ///< until then
    std::size_t next_source_ = 0;
};

}  // namespace muster::delivery
