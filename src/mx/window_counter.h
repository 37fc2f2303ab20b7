#pragma once
// How often each of many did something lately.

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <unordered_map>

#include "net/timer.h"

namespace muster::mx {

/// Counts for each key within a window that begins with its first count. Thread-safe: one short
/// lock a call, spread over stripes. Memory is bounded: a flood of keys makes it forget, which is
/// kinder than growing.
template <typename Key>
class WindowCounter {
public:
    explicit WindowCounter(net::Duration window) : window_(window) {}

    /// Adds `count`; returns how many there are in the key's window by now.
    std::uint64_t add(const Key& key, std::uint32_t count = 1,
                      net::Clock::time_point now = net::Clock::now()) {
        Stripe& stripe = stripes_[std::hash<Key>{}(key) % kStripes];
        const std::lock_guard lock(stripe.mutex);
        if (stripe.records.size() >= kMostOfAStripe) make_room(stripe, now);
        Record& record = stripe.records[key];
        if (record.window_ends <= now) record = {0, now + window_};
        record.count += count;
        return record.count;
    }

private:
    struct Record {
        std::uint64_t count = 0;
        net::Clock::time_point window_ends;
    };
    struct Stripe {
        std::mutex mutex;
        std::unordered_map<Key, Record> records;
    };
    static constexpr std::size_t kStripes = 16;
    static constexpr std::size_t kMostOfAStripe = 16384;

    static void make_room(Stripe& stripe, net::Clock::time_point now) {
        std::erase_if(stripe.records,
                      [&](const auto& item) { return item.second.window_ends <= now; });
        if (stripe.records.size() >= kMostOfAStripe) stripe.records.clear();
    }

    const net::Duration window_;
    std::array<Stripe, kStripes> stripes_;
};

}  // namespace muster::mx
