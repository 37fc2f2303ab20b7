#pragma once
// One message between MAIL and the answer to its data.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cluster/recipients.h"
#include "delivery/transaction.h"
#include "queue/envelope.h"
#include "wire/smtp.h"

namespace muster::mx {

/// A place that the message is to be taken to, for one recipient or several.
struct Target {
    std::string address;
    ServerName home{};  ///< empty: outside of the cluster
    cluster::MailMode mode = cluster::MailMode::InLine;
    bool forwarded = false;              ///< passed on to the world in another's name
    std::uint32_t recipient = 0;         ///< the first that led here; its DSN wishes count
    delivery::RecipientResult result{};  ///< Deferred until something came of it
    bool in_mailbox = false;             ///< of Delivered: it went to its end (LMTP)
    bool recorded = false;               ///< stands in the queue
};

/// A recipient as the client gave it, and the targets that it stands for.
struct Recipient {
    wire::smtp::Recipient given;
    std::vector<std::uint32_t> targets{};
};

struct MailTransaction {
    wire::smtp::Mail mail;
    std::vector<Recipient> recipients{};
    std::vector<Target> targets{};
    // How add() and names() find what is there:
    std::unordered_map<std::string, std::uint32_t> target_numbers{};
    std::unordered_set<std::string> given_texts{};
    bool in_line_only = false;  ///< some domain's mail is only ever taken in line

    /// A recipient as the client wrote it is there already: naming it again changes nothing.
    [[nodiscard]] bool names(const std::string& text) const { return given_texts.contains(text); }
    /// Adds what the directory said of an accepted recipient; a target that is there already is
    /// shared. `passed_on`: whoever sends it does so in another's name, as a server does with what
    /// its user wants redirected.
    void add(wire::smtp::Recipient given, const cluster::MailRoute& route, bool passed_on = false);
    /// Whether the server that takes what is there takes `route`, too: what a domain asks for that
    /// stores nothing, of each recipient.
    [[nodiscard]] bool keeps_one_home(const cluster::MailRoute& route) const;
};

/// The answer to the end of a message.
struct Answer {
    int code = 250;
    std::string enhanced;
    std::string text;

    friend bool operator==(const Answer&, const Answer&) = default;
};

/// What the client is told when every target has its result. `queued`: the Deferred ones are safe
/// on disk. Something delivered or queued: 250 (those that were refused need a report). All
/// refused: the first refusal, as its server put it. Else 451. Pure, as the next ones.
Answer answer_for(const MailTransaction& transaction, bool queued, const queue::QueueId& id);

/// Addresses of those targets that have the message, or (`queued`) will have it from the queue.
std::vector<std::string> taken_targets(const MailTransaction& transaction, bool queued);
/// The envelope without recipients.
queue::Envelope envelope_of(const MailTransaction& transaction);
/// A target as a recipient of the queue, with the original recipient (RFC 3461, 4.2) where aliases
/// led elsewhere.
queue::Recipient queued_recipient(const MailTransaction& transaction, const Target& target);

}  // namespace muster::mx
