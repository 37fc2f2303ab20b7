#pragma once
// Relays SASL exchanges to Dovecot's auth service: how other nodes have a password (or a token)
// judged at the account's home, without seeing a key.

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <variant>

#include "base/endpoint.h"
#include "base/task.h"
#include "net/loop.h"

namespace muster::backend {

/// What a relaying service knows of the client. Names as Dovecot has them.
struct AuthenticateRequest {
    std::string mechanism;               ///< PLAIN, SCRAM-SHA-256 …
    std::string service;                 ///< smtp, imap, http …
    std::optional<std::string> initial;  ///< the client's first message, decoded
    std::optional<Endpoint> client;
    std::string session_id;
};

struct AuthChallenge {
    std::string exchange;  ///< give it with the client's answer
    std::string data;      ///< decoded
};
struct AuthAccepted {
    std::string account;  ///< the address that was proven
    std::string data;     ///< the last server message, decoded; may be empty
};
struct AuthRefused {
    bool temporary = false;  ///< nobody could judge: not a wrong password
};
using AuthStep = std::variant<AuthChallenge, AuthAccepted, AuthRefused>;

/// One connection to Dovecot for each exchange; an exchange that is not answered for a minute is
/// forgotten. Lives on one loop; its callers outlive their calls.
class AuthenticateRelay {
public:
    static constexpr std::size_t kMostExchanges = 1000;

    /// `refused`: whether the account may not be served here (a fence behind Dovecot's verdict).
    AuthenticateRelay(net::Loop& loop, std::filesystem::path socket,
                      std::function<bool(std::string_view address)> refused);
    ~AuthenticateRelay();

    /// Errors: Unavailable (Dovecot does not answer), Limit, Syntax.
    Task<Result<AuthStep>> begin(AuthenticateRequest request);
    /// NotFound: no such exchange (any more). An empty answer is a message, too.
    Task<Result<AuthStep>> answer(std::string exchange, std::string data);
    /// Ends every exchange; those who wait get Unavailable.
    void stop();

private:
    class Exchange;
    using Exchanges = std::unordered_map<std::string, std::unique_ptr<Exchange>>;

    Task<Result<AuthStep>> go_on(std::unique_ptr<Exchange> exchange, std::string line);
    Task<Result<AuthStep>> converse(Exchange& exchange, std::string line);
    void forget_old();

    net::Loop& loop_;
    std::filesystem::path socket_;
    std::function<bool(std::string_view)> refused_;
    Exchanges exchanges_;           ///< wait for their client's answer
    std::set<Exchange*> judged_{};  ///< wait for Dovecot
};

}  // namespace muster::backend
