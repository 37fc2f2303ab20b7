#include "delivery/traffic.h"

namespace muster::delivery {

bool Traffic::come(const std::string& destination, std::size_t own_most) {
    Way& way = ways_[destination];
    way.most = own_most == 0 ? most_ : std::min(own_most, most_);
    if (way.coming > 0) --way.coming;
    return way.under_way < way.most || way.waiting.size() < most_waiting(way);
}

void Traffic::leave(const std::string& destination) {
    Way& way = ways_[destination];
    const std::size_t waiting = way.waiting.size();
    // The last one does not trust the count: what was released may have gone elsewhere.
    if (way.under_way == 1) way.coming = 0;
    const std::size_t expected = waiting + way.coming;
    if (expected <= most_waiting(way) / 2) {
        way.coming +=
            schedule_.release_parked(destination, most_waiting(way) - expected, queue::now());
    }
    // Fewer are to be at once than there are: this one's turn goes to nobody.
    if (waiting == 0 || way.under_way > way.most) {
        if (--way.under_way == 0) ways_.erase(destination);
        return;
    }
    loop_.post([next = way.waiting.front()] { next.resume(); });
    way.waiting.pop_front();
}

}  // namespace muster::delivery
