#pragma once
// A few threads for what blocks: store transactions, imports, other programs.

#include <condition_variable>
#include <coroutine>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "net/loop.h"

namespace muster::net {

/// Thread-safe. Threads begin when there is work for them.
class BlockingPool {
public:
    /// At most `threads` at once; full() when `waiting` pieces of work have no thread yet.
    explicit BlockingPool(std::size_t threads, std::size_t waiting = 1024);
    BlockingPool(const BlockingPool&) = delete;
    BlockingPool& operator=(const BlockingPool&) = delete;
    ~BlockingPool();

    /// Takes the work even when full: whoever serves strangers asks full() first.
    void submit(std::function<void()> work);
    [[nodiscard]] bool full() const;
    /// Finishes what was submitted, then ends the threads. Work that comes later runs on the
    /// thread that submits it.
    void close();

private:
    void work_loop();

    const std::size_t most_threads_;
    const std::size_t most_waiting_;
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::function<void()>> queue_;
    std::size_t idle_ = 0;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

/// `co_await Blocking(loop, pool, function)`: runs `function` on the pool and resumes on `loop`
/// with its result. `function` must own what it needs, or refer to what outlives the await.
template <typename Function>
class Blocking {
public:
    using T = std::invoke_result_t<Function>;

    Blocking(Loop& loop, BlockingPool& pool, Function function)
        : loop_(loop), pool_(pool), function_(std::move(function)) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
        pool_.submit([this, waiter] {
            run();
            loop_.post([waiter] { waiter.resume(); });
        });
    }
    T await_resume() {
        if (exception_) std::rethrow_exception(exception_);
        if constexpr (!std::is_void_v<T>) return std::move(*result_);
    }

private:
    void run() noexcept {
        try {
            if constexpr (std::is_void_v<T>) {
                function_();
            } else {
                result_.emplace(function_());
            }
        } catch (...) {
            exception_ = std::current_exception();
        }
    }

    Loop& loop_;
    BlockingPool& pool_;
    Function function_;
    std::optional<std::conditional_t<std::is_void_v<T>, char, T>> result_;
    std::exception_ptr exception_;
};

}  // namespace muster::net
