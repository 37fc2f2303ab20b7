#pragma once
// What is known of a message beside its text: who sends it to whom, and what became of that.

#include <cstdint>
#include <string>
#include <vector>

#include "queue/queue_id.h"

namespace muster::queue {

/// RFC 3461, 4.1: when the sender wants to hear of a recipient. No bit at all: the sender did not
/// say (FAILURE and, by our choice, DELAY). kNever excludes the others.
namespace notify {
inline constexpr std::uint8_t kNever = 1;
inline constexpr std::uint8_t kSuccess = 2;
inline constexpr std::uint8_t kFailure = 4;
inline constexpr std::uint8_t kDelay = 8;
}  // namespace notify

struct Recipient {
    std::string address{};    ///< as it is to be sent: after aliases, without <>
    std::uint8_t notify = 0;  ///< notify:: bits
    std::string orcpt{};      ///< RFC 3461, 4.2: `type;address`, decoded; empty: none
    bool in_line = false;     ///< being handed over while the client waits (an intent record)
    bool forwarded = false;   ///< an address in the world that its sender did not name

    friend bool operator==(const Recipient&, const Recipient&) = default;
};

enum class Kind : std::uint8_t { Mail, Dsn };
/// RFC 3461, 4.3: what a DSN returns.
enum class Return : std::uint8_t { Unsaid, Full, Headers };

struct Envelope {
    std::string sender{};  ///< reverse-path without <>; empty: the null sender
    std::vector<Recipient> recipients{};
    Return ret = Return::Unsaid;
    std::string envid{};  ///< RFC 3461, 4.4, decoded; empty: none
    bool smtputf8 = false;
    bool body8bit = false;
    Kind kind = Kind::Mail;
    std::string route_class{};  ///< the kind of listener, e.g. "mx" or "submission"

    std::string client_address{};  ///< textual; empty for mail made here
    std::string client_name{};     ///< by reverse look-up; empty: none
    std::string helo{};
    std::string login{};  ///< the account that authenticated; empty: nobody
    SessionId session{};

    Time arrived{};     ///< zero: commit() sets it
    Time expires{};     ///< zero: commit() sets it from the settings
    bool hold = false;  ///< is kept until an operator releases it

    friend bool operator==(const Envelope&, const Envelope&) = default;
};

/// Upper bounds of what one message may say; commit() refuses more with ErrorKind::Limit.
inline constexpr std::size_t kMostRecipients = 100'000;
inline constexpr std::size_t kLongestField = 4096;

enum class Outcome : std::uint8_t {
    Delivered,  ///< its server answered 2xx, or it was handed on
    Failed,     ///< for good; a DSN is due (or was made)
    Deferred,   ///< to be tried again
};

/// What a try gave for one recipient; one line of the file.
struct RecipientResult {
    std::uint32_t recipient = 0;  ///< its place in Envelope::recipients
    Outcome outcome = Outcome::Deferred;
    Time at{};             ///< zero: now
    std::string status{};  ///< RFC 3463 code such as "4.4.1"; never empty in a file ("-" is put)
    std::string server{};  ///< who answered; empty: nobody was reached
    /// The reply with its code ("550 5.1.1 nobody"), or our own reason; one line, cut at 500 bytes.
    std::string text{};
    bool in_mailbox = false;  ///< of Delivered: it went to its end; not kept in the file

    friend bool operator==(const RecipientResult&, const RecipientResult&) = default;
};

/// Where a recipient stands.
struct RecipientState {
    enum class Kind : std::uint8_t { Open, Delivered, Failed };
    Kind kind = Kind::Open;
    std::uint32_t tries = 0;  ///< deferrals so far
    RecipientResult last{};   ///< of tries > 0 or a kind other than Open
};

}  // namespace muster::queue
