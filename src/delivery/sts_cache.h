#pragma once
// MTA-STS policies of other domains (RFC 8461), fetched and kept.

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "delivery/sts_file.h"
#include "delivery/tls_policy.h"
#include "net/blocking_pool.h"
#include "net/dns.h"
#include "wire/mta_sts.h"

namespace muster::delivery {

/// What a policy (or none) means for one MX host.
StsVerdict judge(const std::optional<wire::mta_sts::Policy>& policy, std::string_view host);

/// Fetches a policy's text from `https://mta-sts.DOMAIN/.well-known/mta-sts.txt`: the system's
/// authorities, no redirects, text/plain, at most 64 KiB, 60 s. Blocks, until `stop` at most.
Result<std::string> fetch_sts_policy(const std::string& domain, const std::stop_token& stop);

/// Policies by domain, at most kMost; those that end first go. Thread-safe. The resolver and the
/// pool outlive it. With a file it begins with what that holds.
class StsCache {
public:
    using Fetch =
        std::function<Result<std::string>(const std::string& domain, const std::stop_token& stop)>;
    using Time = std::chrono::system_clock::time_point;
    static constexpr std::size_t kMost = 10'000;

    StsCache(net::Resolver& resolver, net::BlockingPool& pool, std::string file = {},
             Fetch fetch = fetch_sts_policy);

    /// The domain's policy; none when it has none. Asks for the TXT record, and fetches when its id
    /// is another than the known policy's. When either fails, the policy that is known counts until
    /// its max_age is over (RFC 8461, 5.1). A fetch that failed is not tried again for 5 minutes.
    /// `loop` is the caller's.
    Task<std::optional<wire::mta_sts::Policy>> find(net::Loop& loop, std::string domain);
    /// Fetches fail from now on, also those under way.
    void give_up() { stop_.request_stop(); }

private:
    struct Known {
        std::string id{};
        std::optional<wire::mta_sts::Policy> policy{};
        Time until{};       ///< the policy counts
        Time not_before{};  ///< the next fetch
    };
    Known look(const std::string& domain);
    void keep(const std::string& domain, Known known);
    /// On the pool: fetches, and keeps the text for the next process.
    Result<wire::mta_sts::Policy> fetch(const std::string& domain, const std::string& id);

    net::Resolver& resolver_;
    net::BlockingPool& pool_;
    Fetch fetch_;
    std::stop_source stop_;
    StsFile file_;
    std::mutex mutex_;
    std::map<std::string, Known, std::less<>> known_;
};

}  // namespace muster::delivery
