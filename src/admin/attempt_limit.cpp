#include "admin/attempt_limit.h"

#include <algorithm>
#include <utility>

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
        if (most_ <= 0 || !make_room(now)) return false;
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

bool AttemptLimit::reached(const std::string& name, Clock::time_point now) {
    const std::scoped_lock lock(mutex_);
    const auto found = attempts_.find(name);
    return found != attempts_.end() && now - found->second.since <= window_ &&
           found->second.count >= most_;
}

bool AttemptLimit::make_room(Clock::time_point now) {
    if (attempts_.size() < addresses_) return true;
    std::erase_if(attempts_, [&](const auto& item) { return now - item.second.since > window_; });
    if (attempts_.size() < addresses_) return true;
    const auto least = std::ranges::min_element(attempts_, {}, [](const auto& item) {
        return std::pair(item.second.count, item.second.since);
    });
    if (least->second.count >= most_) return false;
    attempts_.erase(least);
    return true;
}

}  // namespace muster::admin
