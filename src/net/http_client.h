#pragma once
// Outgoing HTTP for threads that may block (libcurl).

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "net/http_message.h"
#include "net/tls.h"

namespace muster::net {

/// Whom to talk to, and how to know it is them.
struct HttpTarget {
    std::string origin;       ///< "https://HOST:PORT", or "http://localhost" with `unix_socket`
    std::string unix_socket;  ///< path; empty: TCP
    TlsTrust trust;           ///< for https
    std::string chain;        ///< own certificate (PEM); empty: none is shown
    std::string key;
    std::string source_address;  ///< local address; empty: the system chooses
    std::string user;            ///< for basic authentication; empty: none
    std::string password;
    std::chrono::milliseconds connect_time{5'000};
    /// Nothing moved in either direction for so long: the call fails.
    std::chrono::milliseconds inactivity{30'000};
    /// For the whole of a call, whatever moves meanwhile; zero: no bound.
    std::chrono::milliseconds total_time{0};
    /// Off: TlsVersion::Tls12Signed, and only towards addresses that `may_be_clear` allows.
    bool encryption = true;
    std::function<bool(const IpAddress&)> may_be_clear{};
    std::size_t reply_limit = std::size_t{256} << 20;  ///< bytes of a reply that call() collects
};

struct HttpCall {
    std::string method = "GET";
    std::string path = "/";  ///< with its query
    std::string body{};
    std::string content_type = "application/json";
    HttpHeaders headers{};
    /// When set, the body comes from here instead: fills the buffer and returns how many bytes;
    /// 0 ends it, kUploadFailed ends the call.
    static constexpr std::size_t kUploadFailed = static_cast<std::size_t>(-1);
    std::function<std::size_t(char* into, std::size_t room)> upload{};
};

struct HttpReply {
    int status = 0;
    std::string content_type;
    std::string body;
};

/// One connection, kept between calls. Calls block; one thread at a time, except cancel().
/// Errors are Unavailable (no connection, cut off, silent) or Refused (TLS does not prove the
/// peer); any HTTP status is a reply, not an error.
class HttpClient {
public:
    explicit HttpClient(HttpTarget target);
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    Result<HttpReply> call(const HttpCall& call);
    /// Hands the body on as it arrives; false from `sink` ends the call, which then succeeds. The
    /// status is known when `sink` is called first (`status`). The reply's body stays empty.
    using Sink = std::function<bool(int status, std::string_view bytes)>;
    Result<HttpReply> stream(const HttpCall& call, const Sink& sink);
    /// From any thread: makes a running call (or the next one) return Unavailable soon.
    void cancel();

    [[nodiscard]] const HttpTarget& target() const;
    /// The pin of the key that the last peer showed; empty without TLS.
    [[nodiscard]] std::string peer_pin() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace muster::net
