#pragma once
// Senders are told once what became of their messages.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "delivery/reports.h"
#include "net/loop.h"
#include "queue/spool.h"

namespace muster::delivery {

/// Recipients by their place in the envelope, and what their sender is told of them.
using Told = std::set<std::pair<std::uint32_t, queue::Outcome>>;

/// The id of the report that says this of message `of`, by its first recipient: whoever makes it
/// makes the same one. `told` is not empty.
[[nodiscard]] queue::QueueId report_id(const queue::QueueId& of, const Told& told);

/// Queues a report with this id, unless it is there already; false when it cannot be queued.
/// `about` and `content` are the message's. What is passed by reference outlives the call.
Task<bool> commit_report(net::Loop& loop, queue::Spool& spool, const queue::Envelope& about,
                         const std::shared_ptr<const queue::Content>& content,
                         const std::vector<ReportItem>& items, std::string_view host_name,
                         queue::QueueId id);

/// One thread's; what is passed by reference outlives it.
class SenderReports {
public:
    SenderReports(net::Loop& loop, queue::Spool& spool, std::string host_name)
        : loop_(loop), spool_(spool), host_name_(std::move(host_name)) {}

    /// Queues what the sender wants to hear of `results`; false when that cannot be queued. What it
    /// was told before, as far as this process or the queue knows, is not said again: the results
    /// may not have been written since. What could not be queued of deliveries, which are not
    /// repeated, is reported with what is next: the message must stay that long.
    Task<bool> report(const queue::QueuedMessage& message,
                      std::vector<queue::RecipientResult> results);
    /// The message leaves the queue.
    void forget(const queue::QueueId& id) {
        told_.erase(id);
        owed_.erase(id);
    }
    /// Forgets messages that have left the queue in other ways, once there are many.
    void sweep();

private:
    [[nodiscard]] bool knows(const queue::QueueId& id, std::uint32_t recipient,
                             queue::Outcome outcome) const;
    /// A message of an earlier process: what its reports that are still queued have said.
    void recall(const queue::QueuedMessage& message,
                const std::vector<queue::RecipientResult>& results);

    static constexpr std::size_t kMany = 10'000;

    net::Loop& loop_;
    queue::Spool& spool_;
    const std::string host_name_;
    const queue::Time began_ = queue::now();
    std::map<queue::QueueId, Told> told_;  ///< of messages that are still queued
    std::map<queue::QueueId, std::vector<queue::RecipientResult>> owed_;
    std::size_t sweep_at_ = kMany;
};

}  // namespace muster::delivery
