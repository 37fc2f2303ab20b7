#pragma once
// How a node and its master prove to each other that they know an administrator's password, which
// neither of them sends: SCRAM-SHA-256 (RFC 5802, RFC 7677) with channel binding to both keys.

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/password.h"

namespace muster::admin {

/// The channel binding of a join (RFC 5802, section 6): the header names it, the data is what both
/// sides see of the connection and of what is asked for.
inline constexpr std::string_view kJoinBinding = "p=muster-pins,,";
std::string join_binding_data(std::string_view master_pin, std::string_view node_pin,
                              std::string_view wish);

/// The side that has the password. One exchange.
class ScramClient {
public:
    /// `header` is the GS2 header; `nonce` is of printable characters without a comma.
    ScramClient(std::string_view user, std::string password, std::string nonce,
                std::string header = std::string(kJoinBinding));

    [[nodiscard]] std::string first() const { return header_ + bare_; }
    /// The answer to a challenge. Refused: one that a sound server does not send.
    Result<std::string> final(std::string_view challenge, std::string_view binding_data);
    /// Whether the server knows the password's key.
    [[nodiscard]] bool proves_server(std::string_view server_final) const;

private:
    std::string header_;
    std::string bare_;
    std::string password_;
    std::string nonce_;
    std::string server_signature_;
};

/// `n=USER,r=NONCE` behind its GS2 header.
struct ScramFirst {
    std::string header;
    std::string user;
    std::string nonce;
    std::string bare;
};
Result<ScramFirst> parse_scram_first(std::string_view text);

/// The side that has the key of the password. One exchange, one try.
class ScramServer {
public:
    ScramServer(ScramFirst first, ScramKey key, std::string_view nonce);

    /// Both sides' nonces: what the exchange is known by.
    [[nodiscard]] const std::string& nonce() const { return nonce_; }
    [[nodiscard]] std::string challenge() const;
    /// The server's own proof. Refused: another password, nonce or binding.
    [[nodiscard]] Result<std::string> finish(std::string_view client_final,
                                             std::string_view binding_data) const;

private:
    ScramFirst first_;
    ScramKey key_;
    std::string nonce_;
};
/// The nonce that a client's last message names; empty when it is none.
std::string_view scram_nonce(std::string_view client_final);

/// A key that no password fits. Its salt is always the same for a name, so that unknown names
/// cannot be told from known ones.
ScramKey unknown_users_key(std::string_view user, std::string_view secret);

/// Exchanges that were begun, by nonce. Thread-safe. Each is taken once: what was recorded cannot
/// be said again. Of more than `most` the oldest is forgotten.
template <typename Exchange>
class Pending {
public:
    using Clock = std::chrono::steady_clock;
    explicit Pending(std::size_t most = 200, Clock::duration life = std::chrono::seconds(30))
        : most_(most), life_(life) {}

    void put(const std::string& nonce, Exchange exchange, Clock::time_point now = Clock::now()) {
        const std::scoped_lock lock(mutex_);
        std::erase_if(rows_, [&](const auto& row) { return row.second.first <= now; });
        if (rows_.size() >= most_) {
            auto oldest = rows_.begin();
            for (auto row = rows_.begin(); row != rows_.end(); ++row) {
                if (row->second.first < oldest->second.first) oldest = row;
            }
            rows_.erase(oldest);
        }
        rows_.insert_or_assign(nonce, std::pair{now + life_, std::move(exchange)});
    }
    std::optional<Exchange> take(std::string_view nonce, Clock::time_point now = Clock::now()) {
        const std::scoped_lock lock(mutex_);
        const auto found = rows_.find(nonce);
        if (found == rows_.end()) return std::nullopt;
        auto [until, exchange] = std::move(found->second);
        rows_.erase(found);
        if (until <= now) return std::nullopt;
        return std::move(exchange);
    }

private:
    const std::size_t most_;
    const Clock::duration life_;
    std::mutex mutex_;
    std::map<std::string, std::pair<Clock::time_point, Exchange>, std::less<>> rows_;
};

}  // namespace muster::admin
