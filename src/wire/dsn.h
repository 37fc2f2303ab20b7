#pragma once
// Delivery status notifications (RFC 3461, 3464, 6522; RFC 6533 for UTF-8 addresses): what a
// sender is told about a message that is late, could not be delivered, or was.

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace muster::wire::dsn {

inline constexpr std::size_t kMaxRecipients = 1000;  ///< described; the text says how many more
inline constexpr std::size_t kMaxDiagnostic = 1024;  ///< octets of a server's answer
/// Octets of a message that may go back whole; of a larger one only its header does.
inline constexpr std::size_t kMaxReturned = std::size_t{64} * 1024;

enum class Action { Failed, Delayed, Delivered, Relayed, Expanded };

/// The fate of one recipient.
struct RecipientStatus {
    std::string final_recipient{};       ///< an address as smtp::Path::text() writes it
    std::optional<std::string> orcpt{};  ///< as RCPT gave it: `rfc822;xtext`
    Action action = Action::Failed;
    std::string status{};      ///< `5.1.1` (RFC 3463); what is none becomes `5.0.0`, 4 or 2
    std::string remote_mta{};  ///< the server that answered; empty if none did
    /// Its answer: `550 5.1.1 no such user`; without `remote_mta` a reason of ours.
    std::string diagnostic{};
    std::optional<std::chrono::sys_seconds> last_attempt{};
    std::optional<std::chrono::sys_seconds> retry_until{};  ///< for Action::Delayed
};

struct Report {
    std::string reporting_mta{};  ///< our name
    std::string sender{};         ///< whom to tell; never `<>`, which the caller must not ask for
    std::string
        unique{};  ///< for Message-ID and boundary: letters and digits that no one else uses
    std::chrono::sys_seconds now{};
    std::optional<std::chrono::sys_seconds> arrival{};
    std::optional<std::string> envid{};  ///< as MAIL gave it, in xtext
    std::vector<RecipientStatus> recipients{};
    /// In plain words, for the reader, put under ours; may be empty. Lines separated by LF.
    std::string text{};
    /// The message, or its beginning if only the header shall go back.
    std::string_view original{};
    bool return_full = false;  ///< RET=FULL; still only the header over kMaxReturned
};

/// The whole message with header fields, lines ended by CRLF (bare CR and LF in `original` become
/// CRLF), to be sent from `<>` to the sender. Texts cannot break out of their field or part:
/// control characters become spaces, and the boundary stands nowhere in the message.
std::string write(const Report& report);
/// Whether the notification of `report` needs SMTPUTF8: an address in it is not ASCII.
bool needs_utf8(const Report& report);

}  // namespace muster::wire::dsn
