#pragma once
// What one client (client_network) may take: connections, and failed logins. For the whole process.

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "base/endpoint.h"
#include "frontend/settings.h"

namespace muster::frontend {

/// Thread-safe; one short lock a call, spread over stripes. Memory is bounded: an address is
/// forgotten when it has no connection and no recent failure, and under pressure those without a
/// connection go.
class ClientGuard {
public:
    explicit ClientGuard(const Limits& limits) : limits_(limits) {}

    enum class Verdict : std::uint8_t { Welcome, TooMany, TooManyFromAddress, TooManyFailures };
    /// Counts a connection in when welcome; leave() counts it out.
    Verdict enter(const IpAddress& client);
    void leave(const IpAddress& client);

    enum class Turn : std::uint8_t { Now, Later, Never };
    /// Begins an attempt to log in when it is its turn now; failed(), succeeded() or withdrawn()
    /// ends it. Once an address has failed, no more attempts are under way than it has failures
    /// left, so that guesses side by side are counted like those in a row. Never: too many
    /// failures within the window.
    Turn begin(const IpAddress& client);
    /// The attempt failed; the result is how long to wait before the answer (2 s, and more for each
    /// further failure within the window, to 15 s).
    net::Duration failed(const IpAddress& client);
    /// A login that succeeded takes a failure away, so that a household behind one address is not
    /// locked out by one forgotten telephone; so often in a window as failures are allowed, so that
    /// somebody's own account does not pay for guesses at others without end.
    void succeeded(const IpAddress& client);
    /// Nobody has judged the attempt.
    void withdrawn(const IpAddress& client);

    [[nodiscard]] std::size_t connections() const { return connections_.load(); }

private:
    struct Record {
        std::uint32_t connections = 0;
        std::uint32_t failures = 0;
        std::uint32_t forgiven = 0;
        std::uint32_t attempts = 0;  // under way
        net::Clock::time_point window_ends;
    };
    struct Stripe {
        std::mutex mutex;
        std::unordered_map<IpAddress, Record> records;
    };
    static constexpr std::size_t kStripes = 64;
    static constexpr std::size_t kMaxRecordsPerStripe = 16384;

    Stripe& stripe(const IpAddress& client);
    static void end_attempt(Record& record);
    static void forget_old(Stripe& stripe, net::Clock::time_point now);

    const Limits limits_;
    std::atomic<std::size_t> connections_{0};
    std::array<Stripe, kStripes> stripes_;
};

}  // namespace muster::frontend
