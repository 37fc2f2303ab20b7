#pragma once
// When the recipients of a queued message are given up, and when its sender hears that they wait.

#include <vector>

#include "delivery/queue_routes.h"
#include "queue/retry_policy.h"
#include "queue/spool.h"

namespace muster::delivery {

/// By recipient.
struct Deadlines {
    std::vector<queue::Time> expires;
    std::vector<queue::Time> notices;  ///< Time::max(): never
};

/// As the options of remote domains say, else as the envelope and `usual` do; of a recipient who is
/// in several groups the latest. Those who are not open have Time{}.
Deadlines deadlines_of(const queue::QueuedMessage& message, const QueuePlan& plan,
                       const queue::RetrySettings& usual);

}  // namespace muster::delivery
