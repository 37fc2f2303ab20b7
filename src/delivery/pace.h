#pragma once
// How many messages a minute go to one destination.

#include <map>
#include <optional>
#include <string>

#include "queue/queue_id.h"

namespace muster::delivery {

/// Spreads messages evenly, so that in no minute there are more than so many. One thread's.
class Pace {
public:
    /// A message goes now (empty), or not before the time returned. `a_minute` is 1 or more.
    std::optional<queue::Time> take(const std::string& destination, std::uint32_t a_minute,
                                    queue::Time now);

private:
    std::map<std::string, queue::Time> next_;  ///< when the next one may go
};

}  // namespace muster::delivery
