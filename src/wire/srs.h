#pragma once
// Senders of forwarded mail, rewritten so that the forwarder is who SPF asks, and that reports of
// failures find their way back (S. Okasha, M. Mitchell et al., "The Sender Rewriting Scheme",
// https://www.libsrs2.org/srs/srs.pdf). Pure.
//
//   user@example.com                   SRS0=TAG=DAY=example.com=user@ours
//   SRS0=…=user@forwarder              SRS1=TAG=forwarder==…=user@ours
//   SRS1=TAG=forwarder==…=user@second  SRS1=TAG=forwarder==…=user@ours
//
// TAG is an HMAC over what follows, 30 bits in 6 characters; DAY is the day modulo 1024 in 2. Both
// are written [A-Z2-7] and read without case: there are servers that fold local parts. The TAG of
// an SRS1 is also over the number of its span of kValidDays, counted from 1970.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "wire/smtp.h"

namespace muster::wire::srs {

/// Of SRS0; SRS1 is good to the end of the span after its own. Reports come within the queue's
/// time.
inline constexpr unsigned kValidDays = 21;

/// Whether a local part begins as one of the scheme's, whoever made it.
[[nodiscard]] bool is_rewritten(std::string_view local);

/// The sender under which mail of `sender` is forwarded: one of `domain`. `day` counts from 1970.
/// Nothing when it would be too long for a path, or `sender` is null or has no domain.
[[nodiscard]] std::optional<smtp::Path> forwarded(const smtp::Path& sender, std::string_view domain,
                                                  std::string_view key, std::uint64_t day);

enum class Verdict : std::uint8_t {
    NotOne,   ///< a local part as any other
    Forged,   ///< none of the keys has made it, or nobody can have
    Expired,  ///< made more than kValidDays ago; an old SRS1 is Forged, its age cannot be told
    Good,
};

struct Reversed {
    Verdict verdict = Verdict::NotOne;
    smtp::Path path{};  ///< of Good: to whom it leads
};

/// The other way, of an address at our own domain; `keys` are all that are accepted. A clock may be
/// a day behind that of the front end that made it.
[[nodiscard]] Reversed reversed(std::string_view local, std::span<const std::string> keys,
                                std::uint64_t day);

}  // namespace muster::wire::srs
