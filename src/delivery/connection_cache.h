#pragma once
// Open connections that wait for their next message.

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "delivery/mail_upstream.h"
#include "net/loop.h"

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

    /// The connection to `key` that was used last and is alive, or null.
    std::unique_ptr<MailUpstream> take(const std::string& key);
    /// Keeps it if it is usable and within the limits, else says QUIT.
    void put(std::unique_ptr<MailUpstream> upstream);
    /// Closes those to `key`: the server is being drained, or has another address now.
    void forget(const std::string& key);
    /// Closes what is idle too long; to be called every few seconds.
    void sweep(net::Clock::time_point now = net::Clock::now());
    void clear();
    [[nodiscard]] std::size_t size() const { return waiting_.size(); }

private:
    struct Waiting {
        std::unique_ptr<MailUpstream> upstream;
        net::Clock::time_point since;
    };
    using Order = std::list<Waiting>;  ///< the oldest first
    void drop(Order::iterator which);

    CacheLimits limits_;
    Order waiting_;
    std::map<std::string, std::deque<Order::iterator>, std::less<>> by_key_;
};

/// Sends messages to targets, over waiting connections where there are any. One thread's; the loop
/// and the cache outlive it. Concurrency and rates are the caller's.
class MailClient {
public:
    MailClient(net::Loop& loop, ConnectionCache& cache, PhaseLimits limits = {})
        : loop_(loop), cache_(cache), limits_(limits) {}

    /// Never throws. A waiting connection that turns out to be dead before the server answered
    /// anything is replaced once by a new one; nothing is ever sent again after its dot. With
    /// MailTls::Opportunistic a failed handshake is followed by one try in clear. When no
    /// connection can be had, or the server will not greet us, all recipients are Deferred and
    /// `reached` is false: another host of the destination may be tried.
    Task<TransactionResult> send(std::shared_ptr<const MailTarget> target, Transaction transaction);
    /// A greeted connection, waiting or new; for checks and for warming up.
    Task<Result<std::unique_ptr<MailUpstream>>> connect(
        std::shared_ptr<const MailTarget> target,
        net::Clock::time_point until = net::Clock::time_point::max());

private:
    net::Loop& loop_;
    ConnectionCache& cache_;
    PhaseLimits limits_;
};

}  // namespace muster::delivery
