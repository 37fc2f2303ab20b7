#pragma once
// Open connections that wait for their next message.

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "delivery/mail_upstream.h"

namespace muster::delivery {

struct CacheLimits {
    std::size_t connections = 256;  ///< that wait, of one thread
    std::size_t per_target = 16;    ///< that wait for one target
    net::Duration idle{30'000};     ///< longer ones are closed. Postfix closes after 100 s, Dovecot
                                    ///< LMTP after 5 min
    unsigned transactions = 1000;   ///< messages over one connection
};

/// One thread's. Those that waited longest go first when there are too many.
class ConnectionCache {
public:
    explicit ConnectionCache(CacheLimits limits = {}) : limits_(limits) {}
    ConnectionCache(const ConnectionCache&) = delete;
    ConnectionCache& operator=(const ConnectionCache&) = delete;
    ~ConnectionCache() { clear(); }

    /// The connection to `key` that was used last and is alive, or null. One that was told of the
    /// same client already is preferred; one that cannot be used for `client` is not given.
    std::unique_ptr<MailUpstream> take(const std::string& key, const ClientFacts* client);
    /// Keeps it if it is usable and within the limits, else says QUIT.
    void put(std::unique_ptr<MailUpstream> upstream);
    /// Closes those to `key`: the server is being drained, or has another address now.
    void forget(const std::string& key);
    /// Closes what is idle too long, and what its server has ended; to be called every second or
    /// so. Costs no system call for those of which nothing was heard.
    void sweep(net::Clock::time_point now = net::Clock::now());
    void clear();
    [[nodiscard]] std::size_t size() const { return waiting_.size(); }

private:
    struct Waiting {
        std::unique_ptr<MailUpstream> upstream;
        net::Clock::time_point since;
    };
    using Order = std::list<Waiting>;              ///< the oldest first
    using Waiters = std::vector<Order::iterator>;  ///< of one target, the oldest first
    std::unique_ptr<MailUpstream> extract(Order::iterator which);
    static std::optional<Order::iterator> choose(const Waiters& waiters, const ClientFacts* client);

    CacheLimits limits_;
    Order waiting_;
    std::map<std::string, Waiters, std::less<>> by_key_;  ///< swept when nobody waits any more
};

}  // namespace muster::delivery
