#pragma once
// One-use tokens: how a node logs in to an account without its password (Dovecot's master user).

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/error.h"
#include "base/ids.h"

namespace muster::backend {

/// Goes to the server as SASL PLAIN: authorisation identity ACCOUNT, user `id`, password `secret`.
struct Token {
    std::string id;
    std::string secret;
};

/// In memory only, on one thread. A token serves one look-up, for one account and one service.
class TokenStore {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds kLifetime{60};
    static constexpr std::size_t kMost = 100'000;

    /// `service` as Dovecot calls it: imap, pop3, sieve, smtp. ErrorKind::Limit when too many wait.
    Result<Token> issue(const AccountId& account, std::string_view service, Clock::time_point now);
    /// The secret, if the token is for this; the token is used up whatever the answer.
    std::optional<std::string> take(std::string_view id, std::string_view service,
                                    const AccountId& account, Clock::time_point now);
    [[nodiscard]] std::size_t size() const { return waiting_.size(); }

private:
    struct Waiting {
        AccountId account;
        std::string service;
        std::string secret;
        Clock::time_point until;
    };
    void forget_expired(Clock::time_point now);

    std::unordered_map<std::string, Waiting> waiting_;
};

}  // namespace muster::backend
