#pragma once
// How much an account may send: a stolen password must not make the site a source of spam.

#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

#include "net/timer.h"

namespace muster::mx {

/// Counts the recipients that each account names within an hour, on this front end. Thread-safe;
/// one short lock a call, spread over stripes; memory is bounded by the accounts that send.
class AccountRate {
public:
    explicit AccountRate(std::uint64_t an_hour) : an_hour_(an_hour) {}

    /// Counts one recipient; false: the account has had as many as it may.
    bool take(const std::string& account);

private:
    struct Record {
        std::uint64_t recipients = 0;
        net::Clock::time_point window_ends;
    };
    struct Stripe {
        std::mutex mutex;
        std::unordered_map<std::string, Record> records;
    };
    static constexpr std::size_t kStripes = 16;
    static constexpr std::size_t kSweepAt = 16384;

    const std::uint64_t an_hour_;
    std::array<Stripe, kStripes> stripes_;
};

}  // namespace muster::mx
