#pragma once
// By which front end mail that is made on this back end leaves: values in, values out.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "cluster/topology.h"
#include "net/timer.h"

namespace muster::backend {

/// What a back end knows of itself.
struct ExitSettings {
    std::vector<std::string> fixed{};  ///< "HOST:PORT": these and no others
    NodeName node{};                   ///< this node
    std::vector<std::string> own{};    ///< its own SMTP listeners, as this machine reaches them
    ServerName server{};               ///< the server entry that is its Dovecot
};

/// The SMTP listeners of the cluster's front ends, "HOST:PORT" each. Those of front ends that
/// drain only if all do. Loopback addresses of other nodes only where the cluster is on one
/// machine: where the Dovecot's host is such an address, too.
std::vector<std::string> mail_exits(const cluster::Topology& topology,
                                    const ExitSettings& settings);

/// Takes them in turn. One that failed rests: it is tried after all others, until it has worked or
/// its rest is over. One thread.
class ExitTurns {
public:
    using Time = net::Clock::time_point;
    static constexpr std::chrono::seconds kRest{10};

    /// `start` is where the first turn begins.
    explicit ExitTurns(std::size_t start) : turn_(start) {}

    /// All of `exits`, in the order to try them now; forgets what is no exit any more.
    std::vector<std::string> next(const std::vector<std::string>& exits, Time now);
    /// True when it worked before: this is news.
    bool failed(const std::string& exit, Time now);
    /// True when it had failed before.
    bool worked(const std::string& exit);

private:
    std::size_t turn_;
    std::map<std::string, Time> resting_;  ///< until when; stays until it works
};

/// Whether a first piece of what a server says is the greeting of one that takes mail (RFC 5321,
/// 4.2).
[[nodiscard]] bool is_welcome(std::string_view greeting);

}  // namespace muster::backend
