#include "queue/journal.h"

#include "base/log.h"

namespace muster::queue {
namespace {

/// How long files are kept for messages that do not come.
constexpr auto kTidy = std::chrono::seconds(10);
/// How long what is to be noted may wait for company.
constexpr auto kGather = std::chrono::milliseconds(2);
constexpr auto kLookAtBuckets = std::chrono::seconds(10);

std::string_view bucket_of(const QueueId& id) { return id.view().substr(0, kBucketLength); }

}  // namespace

Journal::Journal(const SpoolFiles& files) : files_(files), thread_([this] { run(); }) {}

Journal::~Journal() { close(); }

void Journal::close() {
    {
        const std::scoped_lock lock(mutex_);
        closing_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
}

void Journal::push(Entry entry) {
    bool first = false;
    {
        const std::scoped_lock lock(mutex_);
        first = entries_.empty() && !resting_;
        entries_.push_back(std::move(entry));
        ++given_;
    }
    if (first) wake_.notify_one();
}

void Journal::append(const QueueId& id, std::string lines, std::function<void()> then) {
    push({id, std::move(lines), std::move(then), false});
}

void Journal::remove(const QueueId& id) { push({id, {}, {}, true}); }

void Journal::flush() {
    std::unique_lock lock(mutex_);
    const std::uint64_t until = given_;
    ++flushing_;
    wake_.notify_one();
    done_.wait(lock, [&] { return finished_ >= until; });
    --flushing_;
}

void Journal::rest(std::unique_lock<std::mutex>& lock) {
    resting_ = true;
    wake_.wait_for(lock, kGather, [this] { return closing_ || flushing_ > 0; });
    resting_ = false;
}

void Journal::run() {
    std::vector<Entry> mine;
    std::unique_lock lock(mutex_);
    for (;;) {
        while (!closing_ && entries_.empty()) {
            if (tidied_) {
                wake_.wait(lock);
            } else if (wake_.wait_for(lock, kTidy) == std::cv_status::timeout) {
                tidied_ = files_.tidy();
            }
        }
        if (entries_.empty()) return;
        tidied_ = false;
        mine.swap(entries_);
        lock.unlock();
        carry_out(mine);
        lock.lock();
        finished_ += mine.size();
        lock.unlock();
        done_.notify_all();
        mine.clear();
        remove_old_buckets();
        lock.lock();
        rest(lock);
    }
}

void Journal::carry_out(std::vector<Entry>& entries) {
    for (std::size_t at = 0; at < entries.size();) {
        std::size_t end = at + 1;
        std::string lines = std::move(entries[at].lines);
        bool gone = entries[at].remove;
        for (; end < entries.size() && !gone && entries[end].id == entries[at].id; ++end) {
            lines += entries[end].lines;
            gone = entries[end].remove;
        }
        const QueueId& id = entries[at].id;
        if (gone) {
            remove_message(id);
        } else if (!lines.empty()) {
            if (auto written = files_.append(id, lines);
                !written && written.error().kind != ErrorKind::NotFound) {
                log::error("queue-record-failed",
                           {{"queue_id", id}, {"error", written.error().detail}});
            }
        }
        for (; at < end; ++at) {
            if (entries[at].then) entries[at].then();
        }
    }
}

void Journal::remove_message(const QueueId& id) {
    const auto removed = files_.retire(id);
    if (!removed && removed.error().kind != ErrorKind::NotFound) {
        log::error("queue-remove-failed", {{"queue_id", id}, {"error", removed.error().detail}});
    }
    if (left_.find(bucket_of(id)) == left_.end()) left_.emplace(bucket_of(id));
}

void Journal::remove_old_buckets() {
    const Time time = now();
    if (left_.empty() || time - buckets_looked_at_ < kLookAtBuckets) return;
    buckets_looked_at_ = time;
    const QueueId present = first_id_at(time);
    std::erase_if(left_, [&](const std::string& bucket) {
        if (bucket >= bucket_of(present)) return false;  // is written to
        files_.remove_bucket(bucket);
        return true;
    });
}

}  // namespace muster::queue
