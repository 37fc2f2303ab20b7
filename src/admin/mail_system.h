#pragma once
// The mail part of a front end, put together: settings, queue, sessions.

#include <memory>
#include <mutex>
#include <string>

#include "admin/node_context.h"
#include "admin/queue_report.h"
#include "delivery/queue_runner.h"
#include "frontend/front_end.h"
#include "mx/mail_service.h"
#include "mx/rates.h"
#include "mx/settings.h"
#include "queue/spool.h"

namespace muster::admin {

/// Why the node of that name and key is no member any more; empty: nothing says so. Pure.
std::string why_no_member(const cluster::Topology& topology, const NodeName& node,
                          std::string_view pin);

/// Owned by the node, which ends the front end's workers before it. What its functions give lives
/// as long as it does.
class MailSystem {
public:
    /// Opens the queue. Errors say what is wrong with the file, the folder or its owner.
    static Result<std::unique_ptr<MailSystem>> open(
        const NodeContext& context, std::shared_ptr<const delivery::SenderRewriting> rewriting);
    ~MailSystem();

    /// Starts what works the queue off; `front_end` outlives it.
    void start(const NodeContext& context, frontend::FrontEnd& front_end,
               const frontend::UpstreamSettings& upstream);
    /// Ends that; the queue still takes what sessions bring.
    void stop();

    /// A node that is revoked, or whose name has another key now, does not run its queue: somebody
    /// takes that over. By the replica, and by what a master answered last. Thread-safe.
    void follow_membership(const NodeContext& context);
    void master_says(bool member);

    /// What is queued for a server goes at once. Goes through the queue: on a thread that may take
    /// a while.
    void server_is_back(const ServerName& server);
    /// Sets the queue's metrics; thread-safe.
    void measure();

    [[nodiscard]] std::function<std::unique_ptr<frontend::RequestService>(frontend::Worker&)>
    service();
    [[nodiscard]] queue::Spool* spool() { return spool_.get(); }
    [[nodiscard]] const mx::Settings& settings() const { return settings_; }

private:
    MailSystem(mx::Settings settings, std::unique_ptr<queue::Spool> spool, const NodeName& node);

    void judge_membership();

    const mx::Settings settings_;
    std::unique_ptr<queue::Spool> spool_;
    mx::Rates rates_;
    mx::ResultCache results_;
    queue::QueueIds ids_;
    std::shared_ptr<const delivery::SenderRewriting> rewriting_;
    QueueMeters meters_;
    std::unique_ptr<net::Resolver> resolver_;
    delivery::RunnerSettings runner_settings_;
    std::unique_ptr<delivery::QueueRunner> runner_;
    std::mutex mutex_;
    std::string no_member_;  ///< why, by the replica; empty: it is one
    bool refused_ = false;   ///< by a master, as revoked
};

}  // namespace muster::admin
