#pragma once
// A mail server as operators write it.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace muster::cluster {

/// `HOST[:PORT]`: a name or an address, perhaps in brackets; an IPv6 address with a port must be.
struct MailHost {
    std::string name;  ///< lower case, A-labels; or an address
    std::uint16_t port = 25;

    /// Syntax for anything else.
    static Result<MailHost> parse(std::string_view text);
    /// As parse() reads it, without the usual port.
    [[nodiscard]] std::string text() const;
    friend bool operator==(const MailHost&, const MailHost&) = default;
};

}  // namespace muster::cluster
