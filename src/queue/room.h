#pragma once
// Whether the file system has room for more mail.

#include <atomic>
#include <chrono>
#include <cstdint>

#include "queue/spool_files.h"

namespace muster::queue {

/// Asks the system ten times a second at most and counts in between. Thread-safe.
class Room {
public:
    /// Asks the system: whoever comes next need not wait for an answer that another waits for.
    Room(const SpoolFiles& files, std::uint64_t reserve);

    /// Limit when `size` bytes would go into the last `reserve` bytes, or the last inodes.
    Result<> check(std::uint64_t size) { return check(size, reserve_); }
    /// A report may take half of the reserve: with it a message leaves the queue.
    Result<> check_report(std::uint64_t size) { return check(size, reserve_ / 2); }
    void used(std::uint64_t size) { free_.fetch_sub(static_cast<std::int64_t>(size)); }

private:
    Result<> check(std::uint64_t size, std::uint64_t reserve);

    const SpoolFiles& files_;
    const std::uint64_t reserve_;
    std::atomic<std::int64_t> free_ = 0;
    std::atomic<std::int64_t> asked_ = 0;
};

}  // namespace muster::queue
