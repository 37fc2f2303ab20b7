#pragma once
// How the servers of the cluster are reached for mail.

#include <map>
#include <memory>
#include <utility>

#include "cluster/route.h"
#include "delivery/mail_target.h"
#include "frontend/host_addresses.h"
#include "frontend/target_table.h"

namespace muster::delivery {

/// One thread's, made from its TargetTable; targets stay the same objects as long as nothing about
/// them changes, so that open connections are used again.
class HomeTargets {
public:
    /// `helo` is our name towards servers. The other two must outlive this.
    HomeTargets(frontend::TargetTable& targets, frontend::HostAddresses& hosts, std::string helo)
        : targets_(targets), hosts_(hosts), helo_(std::move(helo)) {}

    /// The caller keeps the topology. Errors: Unavailable (no address just now), or the server's
    /// TLS trust cannot be used.
    Result<std::shared_ptr<const MailTarget>> find(const cluster::MailServer& home);

private:
    /// Another network's front end is met as any mail server in the world is: TLS if it offers
    /// that.
    Result<> open_to_strangers(MailTarget& target);

    struct Known {
        std::shared_ptr<const frontend::UpstreamTarget> from;
        std::shared_ptr<const MailTarget> target;
    };

    frontend::TargetTable& targets_;
    frontend::HostAddresses& hosts_;
    std::string helo_;
    std::map<std::pair<ServerName, Endpoint>, Known> known_;
    std::shared_ptr<const net::TlsClient> nothing_;  ///< encrypts, and trusts anybody
    std::uint64_t made_ = 0;                         ///< makes keys of targets differ
};

}  // namespace muster::delivery
