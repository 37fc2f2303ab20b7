#pragma once
// What is queued goes on its way: to homes in the cluster, and to the world.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cluster/directory.h"
#include "delivery/connection_cache.h"
#include "delivery/home_targets.h"
#include "delivery/mail_client.h"
#include "delivery/pace.h"
#include "delivery/queue_routes.h"
#include "delivery/sender_reports.h"
#include "delivery/traffic.h"
#include "delivery/try_results.h"
#include "delivery/world_client.h"
#include "frontend/host_addresses.h"
#include "frontend/settings.h"
#include "net/dns.h"
#include "queue/spool.h"

namespace muster::delivery {

struct RunnerSettings {
    RouteSettings routes;
    std::size_t tries = 400;                ///< messages in hand at once
    std::size_t tries_of_destination = 50;  ///< of those, on their way to one destination
    std::optional<MailLogin> smart_host_login;
    std::string sts_file;  ///< MTA-STS policies are kept there; empty: nowhere
    std::vector<IpAddress>
        own_addresses;                ///< on which this node takes mail itself: no MX of others
    net::Duration stop_grace{3'000};  ///< for what is under way when the node stops
};

/// Owns a thread with a loop of its own. Its promise: a message leaves the queue only when each
/// recipient has it, or its sender has been told that it has not (a report stands in the queue).
class QueueRunner {
public:
    /// What is passed by reference outlives it. `resolver` may be null: then mail to the world
    /// waits.
    QueueRunner(RunnerSettings settings, queue::Spool& spool,
                const cluster::TopologyTable& topology, frontend::HostAddresses& hosts,
                const frontend::UpstreamSettings& upstream, NodeName node, net::Resolver* resolver);
    ~QueueRunner();
    QueueRunner(const QueueRunner&) = delete;
    QueueRunner& operator=(const QueueRunner&) = delete;

    void start();
    /// Ends the thread within `stop_grace` and a moment: no group begins any more, and those under
    /// way are cut off after that time. Of which no answer was heard stays queued as it was: a
    /// server that had its message to the end and did not answer gets it again.
    void stop();

private:
    /// What a try made of a message.
    struct Try {
        queue::QueuedMessage message;
        TryResults results{};
        std::vector<RecipientGroup> groups{};
        std::vector<queue::GroupResult> left{};
        std::vector<queue::Time> notices{};  ///< when to tell of a delay of each recipient
    };

    /// Who gave the results of a group.
    struct Answerer {
        std::string server{};        ///< empty: nobody was asked
        bool has_mailboxes = false;  ///< what it takes goes no further (LMTP)
    };

    void run();
    Task<void> work();
    Task<void> end_tries();
    Task<void> pause();
    /// There may be something to take from the queue: work() looks after what is ready by then.
    void look_again();
    /// Closes connections that wait too long.
    void sweep();
    Task<void> attempt(queue::QueueId id);
    Task<void> deliver(Try& each);
    Task<void> finish(Try& each);
    /// The sender could not be told of what is final in `fresh`.
    void unreported(Try& each, std::vector<queue::RecipientResult> fresh);
    /// What is known last of those that wait.
    [[nodiscard]] std::vector<queue::RecipientResult> delays(const Try& each);
    /// When the first of those that wait is late; max: none will be.
    static queue::Time first_notice(const Try& each);
    void remove(const queue::QueueId& id);

    /// Those whose time is over, each by its domain's options or the envelope, fail and leave the
    /// plan; the queue is told when the next one's is.
    void fail_expired(Try& each, QueuePlan& plan);
    void fail_recipient(Try& each, std::uint32_t recipient, const char* status,
                        std::string_view text);
    /// A recipient's result as the queue keeps it; the log hears of it, too.
    static queue::RecipientResult noted(const Try& each, std::uint32_t recipient,
                                        const RecipientResult& result, const Answerer& from);

    /// Whether its destination takes one more in this minute; if not it rests until it does.
    bool has_place(const RecipientGroup& group);
    Task<void> deliver_group(Try& each, const RecipientGroup& group);
    /// Takes what came of a transaction; what the group is left with, if anything.
    std::optional<queue::GroupResult::Kind> take(Try& each, const RecipientGroup& group,
                                                 const TransactionResult& done,
                                                 const Answerer& from);
    Task<TransactionResult> send(const Try& each, const RecipientGroup& group, Answerer& from);
    Task<TransactionResult> send_home(const RecipientGroup& group, Transaction transaction,
                                      Answerer& from);
    Task<TransactionResult> send_out(const RecipientGroup& group, Transaction transaction,
                                     Answerer& from);
    Task<TransactionResult> send_to(const cluster::MailServer& server, const RecipientGroup& group,
                                    const Transaction& transaction);
    static TransactionResult all(const RecipientGroup& group, const RecipientResult& result);

    const RunnerSettings settings_;
    queue::Spool& spool_;
    net::Loop loop_;
    cluster::Directory directory_;
    frontend::TargetTable targets_;
    ConnectionCache cache_;
    MailClient client_;
    HomeTargets homes_;
    QueueRoutes routes_;
    SenderReports reports_;
    Traffic traffic_;
    Pace pace_;
    net::Clock::time_point swept_{};
    net::Resolver* const resolver_;
    net::BlockingPool fetching_{2};  ///< MTA-STS policies
    std::unique_ptr<StsCache> sts_;
    std::unique_ptr<WorldClient> world_;  ///< null: mail to the world waits
    TaskGroup tries_;
    net::Sleep* pausing_ = nullptr;
    bool woken_ = false;
    bool may_run_ = true;                 ///< the queue, when it was looked at last
    bool looking_ = false;                ///< a look_again() is on its way
    std::atomic<bool> was_told_ = false;  ///< of something due; the loop knows soon
    bool stopping_ = false;
    bool cut_off_ = false;  ///< what breaks now says nothing of the destination
    std::thread thread_;
};

}  // namespace muster::delivery
