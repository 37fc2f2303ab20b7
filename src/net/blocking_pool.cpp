#include "net/blocking_pool.h"

namespace muster::net {

BlockingPool::BlockingPool(std::size_t threads, std::size_t waiting)
    : most_threads_(threads), most_waiting_(waiting) {}

BlockingPool::~BlockingPool() { close(); }

void BlockingPool::close() {
    std::vector<std::thread> ending;
    {
        const std::scoped_lock lock(mutex_);
        stopping_ = true;
        ending.swap(threads_);
    }
    wake_.notify_all();
    for (std::thread& thread : ending) thread.join();
}

void BlockingPool::submit(std::function<void()> work) {
    {
        std::unique_lock lock(mutex_);
        if (stopping_) {
            lock.unlock();
            return work();
        }
        // The thread first: when none can be made and there is none, nothing is left behind.
        if (queue_.size() + 1 > idle_ && threads_.size() < most_threads_) {
            try {
                threads_.emplace_back([this] { work_loop(); });
            } catch (const std::system_error&) {
                if (threads_.empty()) throw;
            }
        }
        queue_.push_back(std::move(work));
    }
    wake_.notify_one();
}

bool BlockingPool::full() const {
    const std::scoped_lock lock(mutex_);
    return queue_.size() >= most_waiting_;
}

void BlockingPool::work_loop() {
    for (;;) {
        std::unique_lock lock(mutex_);
        ++idle_;
        wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        --idle_;
        if (queue_.empty()) return;
        const auto work = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        work();
    }
}

}  // namespace muster::net
