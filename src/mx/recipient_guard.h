#pragma once
// Who asks for addresses that do not exist: dictionary attacks end here.

#include <array>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "base/endpoint.h"
#include "net/timer.h"

namespace muster::mx {

/// Counts the unknown recipients of each client (client_network) over all its sessions.
/// Thread-safe: one short lock a call, spread over stripes; memory is bounded.
class RecipientGuard {
public:
    /// More than `unknown` within five minutes are too many.
    explicit RecipientGuard(std::size_t unknown) : unknown_(unknown) {}

    /// Notes `count` unknown recipients; true: too many by now.
    bool note_unknown(const IpAddress& client, std::uint32_t count);

private:
    struct Record {
        std::uint64_t unknown = 0;
        net::Clock::time_point window_ends;
    };
    struct Stripe {
        std::mutex mutex;
        std::unordered_map<IpAddress, Record> records;
    };
    static constexpr std::size_t kStripes = 16;
    static constexpr std::size_t kMaxRecordsPerStripe = 16384;

    Stripe& stripe(const IpAddress& client);

    const std::size_t unknown_;
    std::array<Stripe, kStripes> stripes_;
};

}  // namespace muster::mx
