#pragma once
// A task on a loop, waited for by another thread.

#include <future>
#include <memory>

#include "base/task.h"
#include "net/loop.h"

namespace muster::net {

namespace detail {
template <typename T>
Task<void> fulfil(Task<T> task, std::shared_ptr<std::promise<T>> promise) {
    try {
        promise->set_value(co_await std::move(task));
    } catch (...) {
        promise->set_exception(std::current_exception());
    }
}
}  // namespace detail

/// Starts what `make` returns on the loop's thread and blocks until it has ended; rethrows what it
/// threw. Never on the loop's own thread. When the loop has stopped it throws std::future_error
/// (broken_promise).
template <typename T>
T run_on(Loop& loop, std::function<Task<T>()> make) {
    auto promise = std::make_shared<std::promise<T>>();
    auto future = promise->get_future();
    loop.post([&loop, make = std::move(make), promise = std::move(promise)] {
        loop.tasks().spawn(detail::fulfil(make(), promise));
    });
    return future.get();
}

}  // namespace muster::net
