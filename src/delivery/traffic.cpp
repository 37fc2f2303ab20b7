#include "delivery/traffic.h"

namespace muster::delivery {

bool Traffic::come(const std::string& destination) {
    Way& way = ways_[destination];
    if (way.coming > 0) --way.coming;
    return way.under_way < most_ || way.waiting.size() < most_waiting_;
}

void Traffic::leave(const std::string& destination) {
    Way& way = ways_[destination];
    const std::size_t waiting = way.waiting.size();
    // The last one does not trust the count: what was released may have gone elsewhere.
    if (way.under_way == 1) way.coming = 0;
    const std::size_t expected = waiting + way.coming;
    if (expected <= most_waiting_ / 2) {
        way.coming += schedule_.release_parked(destination, most_waiting_ - expected, queue::now());
    }
    if (waiting == 0) {
        if (--way.under_way == 0) ways_.erase(destination);
        return;
    }
    loop_.post([next = way.waiting.front()] { next.resume(); });
    way.waiting.pop_front();
}

}  // namespace muster::delivery
