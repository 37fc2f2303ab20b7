#pragma once
// Task<T>: a lazily started coroutine that runs on one thread and yields one value.

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/error.h"

namespace muster {

/// Coroutine frames come from per-thread free lists, so that a login costs no malloc for them.
/// A frame is freed on the thread that made it (a session never changes thread); one that is not
/// merely moves memory to the other thread's lists.
void* allocate_frame(std::size_t size);
void free_frame(void* frame, std::size_t size) noexcept;

template <typename T>
class Task;
class TaskGroup;

namespace detail {

void spawned_task_ended(TaskGroup& group, const std::exception_ptr& exception) noexcept;

struct TaskPromiseBase {
    std::coroutine_handle<> continuation = std::noop_coroutine();
    std::exception_ptr exception;

    /// Goes on with whoever awaits the task; one that was spawned frees itself.
    struct FinalAwaiter {
        [[nodiscard]] bool await_ready() const noexcept { return false; }
        template <typename Promise>
        std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) noexcept {
            if constexpr (requires { self.promise().group; }) {
                if (TaskGroup* const group = self.promise().group) {
                    const std::exception_ptr escaped = std::move(self.promise().exception);
                    self.destroy();
                    spawned_task_ended(*group, escaped);
                    return std::noop_coroutine();
                }
            }
            return self.promise().continuation;
        }
        void await_resume() const noexcept {}
    };

    std::suspend_always initial_suspend() noexcept { return {}; }
    FinalAwaiter final_suspend() noexcept { return {}; }
    void unhandled_exception() noexcept { exception = std::current_exception(); }

    static void* operator new(std::size_t size) { return allocate_frame(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }
};

template <typename T>
struct TaskPromise : TaskPromiseBase {
    std::optional<T> value;

    Task<T> get_return_object();
    template <typename U>
        requires std::convertible_to<U&&, T>
    void return_value(U&& result) {
        value.emplace(std::forward<U>(result));
    }
    T take() {
        if (exception) std::rethrow_exception(exception);
        return std::move(*value);
    }
};

template <>
struct TaskPromise<void> : TaskPromiseBase {
    TaskGroup* group = nullptr;  ///< of a task that was spawned and not awaited

    Task<void> get_return_object();
    void return_void() {}
    void take() {
        if (exception) std::rethrow_exception(exception);
    }
};

}  // namespace detail

/// A coroutine that starts when awaited and is destroyed with its Task. Not thread-safe; pass
/// arguments by value, or by reference only to what outlives the full expression that awaits it.
template <typename T = void>
class [[nodiscard]] Task {
public:
    using promise_type = detail::TaskPromise<T>;
    using Handle = std::coroutine_handle<promise_type>;

    explicit Task(Handle handle) : handle_(handle) {}
    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Task& operator=(Task&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    ~Task() {
        if (handle_) handle_.destroy();
    }

    auto operator co_await() && noexcept {
        struct Awaiter {
            Handle handle;
            [[nodiscard]] bool await_ready() const noexcept { return false; }
            std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) noexcept {
                handle.promise().continuation = caller;
                return handle;
            }
            T await_resume() { return handle.promise().take(); }
        };
        MUSTER_CHECK(handle_);
        return Awaiter{handle_};
    }

    /// The coroutine itself, which the caller now owns.
    Handle release() && { return std::exchange(handle_, nullptr); }

private:
    Handle handle_;
};

namespace detail {
template <typename T>
Task<T> TaskPromise<T>::get_return_object() {
    return Task<T>{std::coroutine_handle<TaskPromise>::from_promise(*this)};
}
inline Task<void> TaskPromise<void>::get_return_object() {
    return Task<void>{std::coroutine_handle<TaskPromise>::from_promise(*this)};
}
}  // namespace detail

/// The tasks that some owner has started and waits for. Lives on one thread. A task that throws
/// ends the process through `bug`: whoever spawns catches what may be thrown.
class TaskGroup {
public:
    TaskGroup() = default;
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;
    ~TaskGroup() { MUSTER_CHECK(running_ == 0); }

    /// Starts `task` at once; it runs until it first suspends. The group must outlive it.
    void spawn(Task<void> task);
    [[nodiscard]] std::size_t running() const { return running_; }

    /// Resumes when no task runs. One waiter at a time.
    auto drained() {
        struct Awaiter {
            TaskGroup& group;
            [[nodiscard]] bool await_ready() const noexcept { return group.running_ == 0; }
            void await_suspend(std::coroutine_handle<> waiter) noexcept { group.waiter_ = waiter; }
            void await_resume() const noexcept {}
        };
        return Awaiter{*this};
    }

private:
    friend void detail::spawned_task_ended(TaskGroup& group,
                                           const std::exception_ptr& exception) noexcept;

    std::size_t running_ = 0;
    std::coroutine_handle<> waiter_;
};

}  // namespace muster
