#pragma once
// What senders are told of their messages (RFC 3461, 3464), as messages for the queue.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "queue/spool.h"

namespace muster::delivery {

/// One recipient whose fate is to be reported.
struct ReportItem {
    queue::Recipient recipient{};
    queue::Outcome outcome = queue::Outcome::Failed;
    std::string status;    ///< RFC 3463
    std::string server{};  ///< who was asked last: "be1", "mx.example.org[192.0.2.1]:25"
    /// Its words, which begin with the reply's code, or else our own finding.
    std::string diagnostic{};
    bool in_mailbox = false;  ///< of Delivered
};

/// A report, ready for the queue.
struct ReportMessage {
    queue::Envelope envelope;
    std::string text;
};

/// Whether the sender wants to hear of this outcome (RFC 3461, 4.1): failures unless it said
/// otherwise, delays unless it named other occasions, successes only when asked for. Pure.
bool is_wanted(const queue::Recipient& recipient, queue::Outcome outcome);

/// The report on those items that are wanted; empty without any, and for the null sender, whom
/// nobody may tell anything (RFC 5321, 4.5.5). `beginning` is the message, or as much of its
/// beginning as shall go back. Pure.
std::optional<ReportMessage> make_report(const queue::Envelope& about, std::string_view beginning,
                                         const std::vector<ReportItem>& items,
                                         std::string_view host_name, const queue::QueueId& unique,
                                         queue::Time now);

/// As much of the message as a report may return.
std::string beginning_of(const std::shared_ptr<const queue::Content>& content);

}  // namespace muster::delivery
