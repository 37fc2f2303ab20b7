#pragma once
// How often something may be tried from one address, or by one of those we know by name.

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>

#include "base/endpoint.h"

namespace muster::admin {

/// Thread-safe. An attempt counts when it begins, so that many at once are no way around the
/// limit. An IPv6 network of 64 bits is one address. Of more than `addresses` those whose window is
/// over are forgotten, else the one with the fewest attempts; never one that has reached the limit:
/// when all have, nobody else may begin.
class AttemptLimit {
public:
    using Clock = std::chrono::steady_clock;
    AttemptLimit(int most, Clock::duration window, std::size_t addresses = 4096)
        : most_(most), window_(window), addresses_(addresses) {}

    /// False when there were too many within the window that the first one began.
    bool begin(const IpAddress& from, Clock::time_point now = Clock::now());
    bool begin(const std::string& name, Clock::time_point now = Clock::now());
    /// Whether begin() would be false; counts nothing.
    bool reached(const std::string& name, Clock::time_point now = Clock::now());
    /// Takes one back: it succeeded, or nobody could tell.
    void forgive(const IpAddress& from);
    void forgive(const std::string& name);

private:
    struct Attempts {
        int count = 0;
        Clock::time_point since;
    };
    bool make_room(Clock::time_point now);

    const int most_;
    const Clock::duration window_;
    const std::size_t addresses_;
    std::mutex mutex_;
    std::map<std::string, Attempts> attempts_;
};

}  // namespace muster::admin
