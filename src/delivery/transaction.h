#pragma once
// One message for some recipients of one server, and what came of it.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/endpoint.h"
#include "base/task.h"
#include "net/timer.h"
#include "wire/smtp_reply.h"

namespace muster::delivery {

/// Where a message's octets come from: CRLF line ends, no bare CR or LF, not dot-stuffed. Read
/// once a transaction from its beginning; not thread-safe.
class BodySource {
public:
    BodySource() = default;
    BodySource(const BodySource&) = delete;
    BodySource& operator=(const BodySource&) = delete;
    virtual ~BodySource() = default;

    /// The next piece, in memory or mapped, of any size; valid until the next call of the source.
    /// Empty: the end. An error ends the transaction before the message is complete: the server
    /// never sees it as one.
    virtual Task<Result<std::string_view>> next() = 0;
    /// Octets of the whole, for SIZE.
    [[nodiscard]] virtual std::uint64_t size() const = 0;
    /// Goes back to the beginning. Called before a message is sent.
    virtual void rewind() = 0;
};

/// A message that lies in memory (or is mapped) in pieces, as `Received` and the rest.
class PiecesBody final : public BodySource {
public:
    /// What the pieces point to, and the span, outlive the body.
    explicit PiecesBody(std::span<const std::string_view> pieces) : pieces_(pieces) {}

    Task<Result<std::string_view>> next() override;
    [[nodiscard]] std::uint64_t size() const override;
    void rewind() override { next_ = 0; }

private:
    std::span<const std::string_view> pieces_;
    std::size_t next_ = 0;
};

/// The client that gave us the message, for XCLIENT (Postfix's XCLIENT_README) and Dovecot's
/// SESSION and TTL. What cannot stand in a name or a session id is replaced when it is written.
struct ClientFacts {
    Endpoint client{};
    std::string name{};        ///< from DNS, verified; empty: `[UNAVAILABLE]`
    bool no_name_yet = false;  ///< DNS gave no answer: `[TEMPUNAVAIL]`
    std::string helo{};        ///< empty: not told
    std::string login{};       ///< SASL login name; empty: none
    std::string session{};     ///< our session id, at most 64 characters
    unsigned ttl = 5;
    bool esmtp = true;

    friend bool operator==(const ClientFacts&, const ClientFacts&) = default;
};

/// A recipient; views outlive the transaction. The address is without its angle brackets.
struct Recipient {
    std::string_view address;
    std::string_view notify{};              ///< DSN NOTIFY's value; empty: not given
    std::string_view original_recipient{};  ///< DSN ORCPT's value (`rfc822;xtext`); empty: none
    std::string_view forward{};             ///< xtext for Dovecot's XRCPTFORWARD; empty: none
};

/// Views and pointers outlive send().
struct Transaction {
    std::string_view sender;  ///< without angle brackets; empty: the null reverse-path
    std::span<const Recipient> recipients;
    BodySource* body = nullptr;
    const ClientFacts* client = nullptr;  ///< null: nothing is told of any client
    bool eight_bit = false;               ///< BODY=8BITMIME where the server knows it
    /// Addresses or header need SMTPUTF8: a server without it is not given the message.
    bool smtp_utf8 = false;
    std::string_view ret{};          ///< DSN RET; empty: not given
    std::string_view envelope_id{};  ///< DSN ENVID, in xtext; empty: none
    /// Whatever the phases allow, all is over at this time.
    net::Clock::time_point until = net::Clock::time_point::max();
};

/// How long a server may take for each phase (RFC 5321, 4.5.3.2; in line much less is given).
struct PhaseLimits {
    net::Duration open{30'000};     ///< connection, greeting, TLS, EHLO
    net::Duration command{60'000};  ///< an answer to MAIL, RCPT, DATA
    net::Duration block{60'000};    ///< until a block of the message was taken
    net::Duration final{600'000};   ///< an answer to the dot
};

enum class Outcome : std::uint8_t {
    Delivered,  ///< the server has it
    Refused,    ///< for good (5yz)
    Deferred,   ///< not now: 4yz, no connection, no answer
};

struct RecipientResult {
    Outcome outcome = Outcome::Deferred;
    /// The connection was lost between the dot and its answer: the server may have the message, so
    /// another try may duplicate it. Only with Deferred.
    bool uncertain = false;
    /// False: nothing below was said by the server, it is our own finding.
    bool from_server = false;
    /// Of those that the server takes only in further transactions: it may be given them at once.
    bool at_once = false;
    std::uint16_t code = 0;  ///< 421 or 451 of our own where no answer came
    wire::smtp::EnhancedStatus enhanced{};
    std::string text{};  ///< for the log and for reports to the sender, one or more lines

    /// What a report says: the server's answer as it came (RFC 3464, 2.3.6), or our finding.
    [[nodiscard]] std::string diagnostic() const;

    friend bool operator==(const RecipientResult&, const RecipientResult&) = default;
};

struct TransactionResult {
    std::vector<RecipientResult> recipients;  ///< in the transaction's order
    /// A greeted server was asked; else another host of the destination may be.
    bool reached = false;
    /// The server went away before it answered anything in this transaction, so nothing of it
    /// happened: it may be sent anew on a new connection at once (MailClient does).
    bool stale = false;
};

/// Whether an address among these is not ASCII. A home takes mail whose header alone is UTF-8 as it
/// is: nobody behind it has to be asked.
bool needs_utf8(std::string_view sender, std::span<const Recipient> recipients);
/// `code` with the outcome that its first digit means (others than 2, 4 and 5: Deferred).
RecipientResult from_reply(const wire::smtp::Reply& reply);
/// A finding of our own, e.g. own_result(Outcome::Refused, 556, {5, 1, 10}, "…").
RecipientResult own_result(Outcome outcome, std::uint16_t code, wire::smtp::EnhancedStatus enhanced,
                           std::string text);

}  // namespace muster::delivery
