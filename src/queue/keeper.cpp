#include "queue/keeper.h"

#include <algorithm>

#include "base/log.h"

namespace muster::queue {
namespace {

/// Written before the lock is asked for again.
constexpr std::size_t kAtOnce = 8;
/// Files that one sync is for, and that are open meanwhile.
constexpr std::size_t kMostTogether = 512;
/// Up to so many files are synced one by one until something is known.
constexpr std::size_t kFew = 2;
constexpr double kForget = 0.2;
/// By how much a kind of sync that is not used becomes attractive again.
constexpr double kTryAgain = 0.97;

void learn(double& mean, double value) {
    mean = mean == 0.0 ? value : mean * (1.0 - kForget) + value * kForget;
}

}  // namespace

bool SyncPolicy::together(std::size_t count) const {
    if (count <= 1) return false;
    if (together_ == 0.0 || single_ == 0.0) return count > kFew;
    const bool yes = together_ * doubt_ < single_ * static_cast<double>(count);
    doubt_ = yes ? 1.0 : doubt_ * kTryAgain;
    return yes;
}

void SyncPolicy::took(bool together, std::size_t count, std::chrono::nanoseconds time) {
    const auto each = static_cast<double>(time.count());
    if (together) {
        learn(together_, each);
    } else {
        learn(single_, each / static_cast<double>(count));
    }
}

Keeper::Keeper(const SpoolFiles& files, std::size_t threads, std::function<Result<>()> may_keep)
    : files_(files), may_keep_(std::move(may_keep)) {
    for (std::size_t i = 0; i < std::max<std::size_t>(threads, 2); ++i) {
        threads_.emplace_back([this] { run(); });
    }
}

Keeper::~Keeper() { close(); }

void Keeper::close() {
    {
        const std::scoped_lock lock(mutex_);
        closing_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
}

void Keeper::keep(Arrival arrival) {
    {
        const std::scoped_lock lock(mutex_);
        to_write_.push_back(std::move(arrival));
        if (idle_ == 0) return;
    }
    wake_.notify_one();
}

Keeper::Figures Keeper::figures() const {
    const std::scoped_lock lock(mutex_);
    return figures_;
}

void Keeper::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        if (!written_.empty() && !syncing_) {
            sync(lock);
        } else if (!to_write_.empty() && written_.size() < kMostTogether) {
            write(lock);
        } else if (closing_ && to_write_.empty() && written_.empty() && writing_ == 0) {
            wake_.notify_all();
            return;
        } else {
            ++idle_;
            wake_.wait(lock);
            --idle_;
        }
    }
}

void Keeper::write(std::unique_lock<std::mutex>& lock) {
    std::vector<Arrival> mine;
    while (mine.size() < kAtOnce && !to_write_.empty()) {
        mine.push_back(std::move(to_write_.front()));
        to_write_.pop_front();
    }
    ++writing_;
    lock.unlock();
    const Result<> may = may_keep_();
    std::erase_if(mine, [&](Arrival& each) {
        if (!may) {
            each.done(may);
            return true;
        }
        auto file = files_.create(each.id, each.shelf, *each.envelope, *each.content);
        if (file) {
            each.file = std::move(*file);
            return false;
        }
        log::error("queue-write-failed", {{"queue_id", each.id}, {"error", file.error().detail}});
        each.done(std::unexpected(file.error()));
        return true;
    });
    lock.lock();
    --writing_;
    std::move(mine.begin(), mine.end(), std::back_inserter(written_));
    if (closing_) wake_.notify_all();
}

Result<> Keeper::sync_all(const std::vector<Arrival>& arrivals, bool together) const {
    Result<> synced;
    if (together) {
        synced = files_.sync();
    } else {
        for (const Arrival& each : arrivals) {
            synced = files_.sync_file(each.file, each.id, each.shelf);
            if (!synced) break;
        }
    }
    if (!synced) return synced;
    // Who took the queue over since then has perhaps not seen these files.
    return may_keep_();
}

void Keeper::sync(std::unique_lock<std::mutex>& lock) {
    syncing_ = true;
    std::vector<Arrival> mine;
    mine.swap(written_);
    const bool together = policy_.together(mine.size());
    const bool help = idle_ > 0 && !to_write_.empty();
    lock.unlock();
    if (help) wake_.notify_one();
    const auto began = std::chrono::steady_clock::now();
    const Result<> synced = sync_all(mine, together);
    const auto time = std::chrono::steady_clock::now() - began;
    if (!synced) {
        log::error("queue-sync-failed", {{"error", synced.error().detail}});
        for (const Arrival& each : mine) (void)files_.remove(each.id);
    }
    lock.lock();
    syncing_ = false;
    policy_.took(together, mine.size(), time);
    ++figures_.syncs;
    figures_.together += together ? 1 : 0;
    figures_.time += time;
    // Somebody else may begin the next sync while this thread tells of this one.
    const bool more = !written_.empty() && idle_ > 0;
    lock.unlock();
    if (more) wake_.notify_one();
    for (Arrival& each : mine) each.done(synced);
    mine.clear();
    lock.lock();
    if (closing_) wake_.notify_all();
}

}  // namespace muster::queue
