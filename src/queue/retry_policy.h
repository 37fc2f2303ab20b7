#pragma once
// When a message is tried again, given up, or its sender told. Pure.

#include <chrono>
#include <cstdint>
#include <vector>

#include "queue/queue_id.h"

namespace muster::queue {

using std::chrono::milliseconds;

struct RetrySettings {
    /// After the first failed try, the second, …; the last one goes on. RFC 5321, 4.5.4.1 wants
    /// at least 30 minutes in the long run; early tries catch greylisting and restarts.
    std::vector<milliseconds> delays = {std::chrono::minutes(1),  std::chrono::minutes(5),
                                        std::chrono::minutes(15), std::chrono::minutes(30),
                                        std::chrono::hours(1),    std::chrono::hours(2)};
    /// Share by which a delay varies up and down, so that what failed together parts.
    double jitter = 0.1;
    /// A destination that could not be reached is left alone this long, then twice as long …
    milliseconds destination_first = std::chrono::seconds(15);
    milliseconds destination_most = std::chrono::minutes(15);
    milliseconds expire_after = std::chrono::days(5);
    /// The sender hears of a delay after this; zero: never.
    milliseconds delay_notice_after = std::chrono::hours(4);
};

/// The usual delays between `first` and `longest`, which stand at the ends.
[[nodiscard]] std::vector<milliseconds> retry_delays(milliseconds first, milliseconds longest);
/// `tries` failed so far (at least 1); `random` uniform in [0, 1).
[[nodiscard]] Time next_try(const RetrySettings& settings, Time last, std::uint32_t tries,
                            double random);
/// `failures` connects in a row failed (at least 1).
[[nodiscard]] Time destination_until(const RetrySettings& settings, Time now,
                                     std::uint32_t failures, double random);
[[nodiscard]] bool expired(Time expires, Time now);
/// When the sender of what arrived then is to hear of a delay; Time::max(): never.
[[nodiscard]] Time notice_time(const RetrySettings& settings, Time arrived);

}  // namespace muster::queue
