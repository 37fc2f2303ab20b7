#pragma once
// The command line's side of the API.

#include <nlohmann/json.hpp>

#include <memory>
#include <string>

#include "base/error.h"
#include "net/http_client.h"

namespace muster::admin {

struct ApiAddress {
    std::string api;   ///< path of a socket, or "http(s)://HOST:PORT"
    std::string user;  ///< administrator; empty on a socket
    std::string password;
    std::string authorities;  ///< PEM; empty: the system's
    std::string node{};       ///< the one that is meant; empty: the one that answers there
};

/// One thread. Errors carry the server's own text, and which way out there is.
class ApiClient {
public:
    explicit ApiClient(const ApiAddress& address);

    Result<nlohmann::json> call(const std::string& method, const std::string& path,
                                const nlohmann::json& body = nullptr);
    Result<nlohmann::json> get(const std::string& path) { return call("GET", path); }
    /// Uploads from `fd` and hands on the answer's lines as they come.
    Result<> upload(const std::string& path, int fd,
                    const std::function<void(const nlohmann::json&)>& line);
    /// Downloads into `sink`; a POST when there is a body.
    Result<> download(const std::string& path, const nlohmann::json& body,
                      const std::function<bool(std::string_view)>& sink);

private:
    std::unexpected<Error> failure(const Error& error) const;
    [[nodiscard]] net::HttpCall call_of(const std::string& method, const std::string& path) const;

    ApiAddress address_;
    net::HttpClient client_;
};

/// Path with percent-encoded names in it: path_of("/v1/servers/", name, "/check").
std::string path_of(std::string_view before, std::string_view name, std::string_view after = "");

}  // namespace muster::admin
