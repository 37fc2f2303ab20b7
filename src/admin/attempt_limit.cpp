#include "admin/attempt_limit.h"

#include <algorithm>

namespace muster::admin {
namespace {

/// An IPv6 client has a network of 64 bits to itself (RFC 6177).
IpAddress counted(const IpAddress& from) {
    if (from.is_v4()) return from;
    IpAddress::V6 bytes = from.v6();
    std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
    return IpAddress::from_v6(bytes);
}

}  // namespace

bool AttemptLimit::begin(const IpAddress& from, Clock::time_point now) {
    const IpAddress key = counted(from);
    const std::scoped_lock lock(mutex_);
    auto found = attempts_.find(key);
    if (found != attempts_.end() && now - found->second.since > window_) {
        attempts_.erase(found);
        found = attempts_.end();
    }
    if (found == attempts_.end()) {
        make_room();
        attempts_[key] = {1, now};
        return true;
    }
    if (found->second.count >= most_) return false;
    ++found->second.count;
    return true;
}

void AttemptLimit::forgive(const IpAddress& from) {
    const std::scoped_lock lock(mutex_);
    const auto found = attempts_.find(counted(from));
    if (found != attempts_.end() && --found->second.count <= 0) attempts_.erase(found);
}

void AttemptLimit::make_room() {
    if (attempts_.size() < addresses_) return;
    attempts_.erase(std::ranges::min_element(
        attempts_, {}, [](const auto& item) { return item.second.since; }));
}

}  // namespace muster::admin
