#pragma once
// Authentication-Results (RFC 8601): what a border server found out about a message's sender.

#include <optional>
#include <string>
#include <string_view>

#include "base/endpoint.h"

namespace muster::wire {

/// What a server knows by itself.
struct AuthenticationResults {
    std::string_view authserv_id{};
    std::string_view iprev{};  ///< "pass", "fail" …; empty: nobody asked
    IpAddress client{};
    std::string_view client_name{};  ///< of iprev=pass
    bool authenticated = false;      ///< SMTP AUTH (2.7.4)
    std::string_view login{};        ///< told beside it; empty: it is not told
};
/// The field with CRLF, a line for each result; empty when nothing is known.
std::string write_authentication_results(const AuthenticationResults& results);

/// The header without the fields that say to be written by `authserv_id` (ASCII), whatever its case
/// (RFC 8601, 5), or that some reader may take for such; nothing when there is none. Lines that are
/// no fields end nothing here: other readers may look behind them.
std::optional<std::string> without_results_of(std::string_view header,
                                              std::string_view authserv_id);

}  // namespace muster::wire
