#pragma once
// What one client (client_network) may take: connections, and failed logins. For the whole process.

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/endpoint.h"
#include "frontend/settings.h"

namespace muster::frontend {

/// Thread-safe; one short lock a call, spread over stripes. Memory is bounded: an address is
/// forgotten when it has no connection and no recent failure, and under pressure those without a
/// connection go.
class ClientGuard {
public:
    /// A server that has not judged an attempt for `patience` is slow; such an attempt no longer
    /// takes room from those at other servers.
    ClientGuard(const Limits& limits, net::Duration patience)
        : limits_(limits), patience_(patience) {}

    enum class Verdict : std::uint8_t { Welcome, TooMany, TooManyFromAddress, TooManyFailures };
    /// Counts a connection in when welcome; leave() counts it out.
    Verdict enter(const IpAddress& client);
    void leave(const IpAddress& client);

    /// Names an attempt under way of its address; None is none.
    enum class Attempt : std::uint32_t { None = 0 };
    enum class Turn : std::uint8_t { Now, Later, Never };
    /// Begins an attempt to log in at `server` when it is its turn now; failed(), succeeded() or
    /// withdrawn() ends it. Once an address has failed, no more attempts are under way than it has
    /// failures left, so that guesses side by side are counted like those in a row; and no more
    /// than half of them at one server, so that one that hangs leaves room for logins at the
    /// others. Never: too many failures within the window.
    Turn begin(const IpAddress& client, std::string_view server, Attempt& attempt);
    /// It is the client that the attempt waits for, or (false) the server again from now on.
    void waits_for_client(const IpAddress& client, Attempt attempt, bool waits);
    /// The attempt failed; the result is how long to wait before the answer (2 s, and more for each
    /// further failure within the window, to 15 s).
    net::Duration failed(const IpAddress& client, Attempt attempt);
    /// A login that succeeded takes a failure away, so that a household behind one address is not
    /// locked out by one forgotten telephone; so often in a window as failures are allowed, so that
    /// somebody's own account does not pay for guesses at others without end.
    void succeeded(const IpAddress& client, Attempt attempt);
    /// Nobody has judged the attempt.
    void withdrawn(const IpAddress& client, Attempt attempt);

    [[nodiscard]] std::size_t connections() const { return connections_.load(); }

private:
    struct UnderWay {
        Attempt attempt;
        bool waits_for_client;
        std::size_t server;  // its name's hash
        net::Clock::time_point since;
    };
    struct Record {
        std::uint32_t connections = 0;
        std::uint32_t failures = 0;
        std::uint32_t forgiven = 0;
        std::uint32_t last_attempt = 0;
        std::vector<UnderWay> attempts;
        net::Clock::time_point window_ends;
    };
    struct Stripe {
        std::mutex mutex;
        std::unordered_map<IpAddress, Record> records;
    };
    static constexpr std::size_t kStripes = 64;
    static constexpr std::size_t kMaxRecordsPerStripe = 16384;

    Stripe& stripe(const IpAddress& client);
    [[nodiscard]] bool has_room(const Record& record, std::size_t server,
                                net::Clock::time_point now) const;
    static void end_attempt(Record& record, Attempt attempt);
    static void forget_old(Stripe& stripe, net::Clock::time_point now);

    const Limits limits_;
    const net::Duration patience_;
    std::atomic<std::size_t> connections_{0};
    std::array<Stripe, kStripes> stripes_;
};

}  // namespace muster::frontend
