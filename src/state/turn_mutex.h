#pragma once
// A mutex whose waiters get it in the order in which they came.

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace muster::state {

/// For a lock that one thread takes again as soon as it gave it up (a bulk load between two
/// transactions): with std::mutex the others would wait for ever. Use with std::unique_lock.
class TurnMutex {
public:
    void lock() {
        std::unique_lock guard(guard_);
        const std::uint64_t turn = next_++;
        turned_.wait(guard, [&] { return turn == now_; });
    }
    void unlock() {
        {
            const std::lock_guard guard(guard_);
            ++now_;
        }
        turned_.notify_all();
    }
    /// Who waits now, for tests.
    [[nodiscard]] std::uint64_t waiting() const {
        const std::lock_guard guard(guard_);
        return next_ - now_ <= 1 ? 0 : next_ - now_ - 1;
    }

private:
    mutable std::mutex guard_;
    std::condition_variable turned_;
    std::uint64_t next_ = 0;
    std::uint64_t now_ = 0;
};

}  // namespace muster::state
