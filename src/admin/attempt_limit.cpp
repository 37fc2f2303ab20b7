#include "admin/attempt_limit.h"

#include <algorithm>

#include "base/client_network.h"

namespace muster::admin {
bool AttemptLimit::begin(const IpAddress& from, Clock::time_point now) {
    return begin(client_network(from).text(), now);
}

void AttemptLimit::forgive(const IpAddress& from) { forgive(client_network(from).text()); }

bool AttemptLimit::begin(const std::string& name, Clock::time_point now) {
    const std::scoped_lock lock(mutex_);
    auto found = attempts_.find(name);
    if (found != attempts_.end() && now - found->second.since > window_) {
        attempts_.erase(found);
        found = attempts_.end();
    }
    if (found == attempts_.end()) {
        make_room();
        attempts_[name] = {1, now};
        return true;
    }
    if (found->second.count >= most_) return false;
    ++found->second.count;
    return true;
}

void AttemptLimit::forgive(const std::string& name) {
    const std::scoped_lock lock(mutex_);
    const auto found = attempts_.find(name);
    if (found != attempts_.end() && --found->second.count <= 0) attempts_.erase(found);
}

void AttemptLimit::make_room() {
    if (attempts_.size() < addresses_) return;
    attempts_.erase(std::ranges::min_element(attempts_, {},
                                             [](const auto& item) { return item.second.since; }));
}

}  // namespace muster::admin
