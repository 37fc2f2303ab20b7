#pragma once
// Messages to targets, over waiting connections where there are any.

#include "delivery/connection_cache.h"
#include "net/loop.h"
#include "net/stream_set.h"

namespace muster::delivery {

/// One thread's; the loop and the cache outlive it. Concurrency and rates are the caller's.
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
    /// What is under way ends as if its connection were lost, and nothing begins any more.
    void give_up();

    /// A greeted new connection; for checks and for warming up. `client` as for
    /// MailUpstream::open().
    Task<Result<std::unique_ptr<MailUpstream>>> connect(
        std::shared_ptr<const MailTarget> target,
        net::Clock::time_point until = net::Clock::time_point::max(),
        const ClientFacts* client = nullptr);

private:
    struct Opened {
        Result<std::unique_ptr<MailUpstream>> upstream;
        bool tls_failed = false;
    };
    Task<TransactionResult> send_over(MailUpstream& upstream, Transaction transaction);
    Task<Opened> open(std::shared_ptr<const MailTarget> target, net::Clock::time_point until,
                      const ClientFacts* client);

    net::Loop& loop_;
    ConnectionCache& cache_;
    PhaseLimits limits_;
    net::StreamSet busy_;
    bool ended_ = false;
};

}  // namespace muster::delivery
