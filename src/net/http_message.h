#pragma once
// Requests and responses as values, for server and client alike.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/endpoint.h"

namespace muster::net {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
    std::string method;
    std::string path;     ///< still percent-encoded, begins with '/'
    std::string query;    ///< behind the '?', still percent-encoded
    HttpHeaders headers;  ///< names in lower case

    Endpoint peer;                            ///< `::`:0 on a unix socket
    std::optional<std::uint32_t> local_user;  ///< uid of the peer, on a unix socket
    std::string peer_pin;                     ///< of the client's certificate; empty without one
    bool encrypted = false;

    /// The first header of that (lower-case) name; empty without one.
    [[nodiscard]] std::string_view header(std::string_view name) const;
};

struct HttpResponse {
    int status = 200;
    std::string body;
    std::string content_type = "application/json";
    HttpHeaders headers{};
};

std::string_view http_reason(int status);

/// "a%20b" → "a b"; empty for broken escapes and for control characters.
std::optional<std::string> percent_decoded(std::string_view text);
/// What is not unreserved (RFC 3986, 2.3) as %XX.
std::string percent_encoded(std::string_view text);
/// The value of `name` in a query part, decoded; empty when absent.
std::optional<std::string> query_value(std::string_view query, std::string_view name);

}  // namespace muster::net
