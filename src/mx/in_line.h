#pragma once
// Delivery in line: every server has the message, or it is on disk, before its client hears 250.

#include <memory>
#include <string>
#include <vector>

#include "delivery/connection_cache.h"
#include "delivery/home_targets.h"
#include "delivery/mail_client.h"
#include "delivery/reports.h"
#include "delivery/sender_reports.h"
#include "frontend/worker.h"
#include "mx/mail_transaction.h"
#include "mx/result_cache.h"
#include "mx/settings.h"
#include "queue/spool.h"

namespace muster::mx {

struct SharedMail;
struct MailCounters;

/// A message that was read to its end, and who sent it.
struct Message {
    MailTransaction& transaction;
    std::shared_ptr<const queue::Content> content;
    queue::QueueId id;
    delivery::ClientFacts client;
    std::string route_class;   ///< for the queue: "mx", "submission"
    MessageIdentity identity;  ///< by which it is known when it comes again
    std::string_view iprev{};  ///< of the client's name; empty: nobody asked
};

/// One worker's. Its promise: after an answer of 250 each target has the message, or it stands in
/// the queue, or (a refusal of only some) a report to its sender does.
class InLine {
public:
    InLine(frontend::Worker& worker, const SharedMail& shared, delivery::ConnectionCache& cache,
           delivery::HomeTargets& homes, MailCounters& counters);

    /// Hands the message to all homes at once, within the one deadline for all; queues what is
    /// left. `message` outlives the call. Throws nothing.
    Task<Answer> deliver(Message& message);

private:
    /// Targets of one server.
    struct Group {
        ServerName home;
        std::vector<std::uint32_t> targets;
        bool reached = false;  ///< a greeted server was asked
    };

    std::vector<Group> groups_of(const MailTransaction& transaction) const;
    Task<void> hand_over(const Message& message, Group& group, net::Clock::time_point until);
    /// To one of the servers that can take it.
    Task<void> hand_over_to(const Message& message, Group& group, const cluster::MailServer& server,
                            std::shared_ptr<const delivery::MailTarget> target,
                            net::Clock::time_point until);
    /// Targets that have the message already, from a try whose answer was lost.
    void note_known_results(const Message& message);
    Task<void> hand_over_all(const Message& message, std::vector<Group>& groups);
    /// Puts the targets on disk that have no result yet.
    Task<Result<queue::QueueId>> queue_up(const Message& message, bool intent, queue::After after);
    /// The intent record after the fact: results, or its removal.
    /// True: the message is to be given back to the schedule, once that is written.
    [[nodiscard]] bool close_intent(const Message& message, const std::vector<Group>& groups);
    /// What the sender is to be told when the client hears 250: of refusals, which only some
    /// targets had, and of success where it asked for that.
    struct Report {
        std::vector<delivery::ReportItem> items{};
        delivery::Told told{};
    };
    static Report report_on(const Message& message);
    /// Queues it.
    Task<bool> tell_sender(const Message& message, const Report& report);
    /// After all servers have answered: queues what is left, and tells the sender. The answer.
    Task<Answer> conclude(const Message& message, const std::vector<Group>& groups, bool intent);
    Task<Answer> conclude_intent(const Message& message, const std::vector<Group>& groups);
    static queue::Envelope full_envelope(const Message& message);
    void log_outcome(const Message& message, const Answer& answer) const;

    frontend::Worker& worker_;
    const SharedMail& shared_;
    delivery::MailClient client_;
    delivery::HomeTargets& homes_;
    MailCounters& counters_;
};

}  // namespace muster::mx
