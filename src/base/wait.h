#pragma once
// A pause of a thread that ends early when it is told to stop.

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>

namespace muster {

inline void wait(const std::stop_token& stop, std::chrono::milliseconds time) {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_for(lock, stop, time, [] { return false; });
}

}  // namespace muster
