#pragma once
// How many messages a minute go to one destination.

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "queue/queue_id.h"

namespace muster::delivery {

/// Spreads messages evenly, so that in no minute there are more than so many. Whoever waited is
/// late by up to two ticks of the loop's clock: what that cost, up to kArrears, is made up for at
/// once. One thread's.
class Pace {
public:
    static constexpr std::chrono::milliseconds kArrears{1'000};

    /// A message goes now (empty), or not before the time returned. `a_minute` is 1 or more.
    std::optional<queue::Time> take(const std::string& destination, std::uint32_t a_minute,
                                    queue::Time now);

private:
    using Exact = std::chrono::sys_time<std::chrono::microseconds>;

    std::map<std::string, Exact> next_;  ///< when the next one may go
};

}  // namespace muster::delivery
