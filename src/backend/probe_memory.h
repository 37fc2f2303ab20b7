#pragma once
// What Dovecot told about the logins of `muster server check`.

#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace muster::backend {

/// Who the client is, as Dovecot sees it.
struct Probe {
    std::string client;   ///< IP address
    std::string session;  ///< session id
    friend bool operator==(const Probe&, const Probe&) = default;
};

/// In memory only, on one thread. Keeps names that start with kPrefix and no others: the newest
/// kMost of the last minute.
class ProbeMemory {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::string_view kPrefix = "muster-check-";
    static constexpr std::chrono::seconds kLifetime{60};
    static constexpr std::size_t kMost = 64;

    void saw(std::string_view name, Probe probe, Clock::time_point now);
    [[nodiscard]] std::optional<Probe> find(std::string_view name, Clock::time_point now) const;

private:
    struct Seen {
        std::string name;
        Probe probe;
        Clock::time_point until;
    };
    std::deque<Seen> seen_;  ///< the newest last
};

}  // namespace muster::backend
