#pragma once
// Notes what becomes of queued messages, and removes those that are done, in order, on one thread.

#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "queue/spool_files.h"

namespace muster::queue {

/// Nothing here is synced: see Spool's promise. Thread-safe.
class Journal {
public:
    explicit Journal(const SpoolFiles& files);
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;
    ~Journal();

    /// `then` is called on the journal's thread after the lines were written (or could not be);
    /// may be empty.
    void append(const QueueId& id, std::string lines, std::function<void()> then = {});
    /// What was to be appended and is not yet written need not be any more.
    void remove(const QueueId& id);
    /// Blocks until all that was given before is done.
    void flush();
    void close();

private:
    struct Entry {
        QueueId id;
        std::string lines;
        std::function<void()> then;
        bool remove = false;
    };

    void push(Entry entry);
    void run();
    /// Lets more come, so that not each costs waking the thread.
    void rest(std::unique_lock<std::mutex>& lock);
    void carry_out(std::vector<Entry>& entries);
    void remove_message(const QueueId& id);
    void remove_old_buckets();

    const SpoolFiles& files_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::condition_variable done_;
    std::vector<Entry> entries_;
    std::uint64_t given_ = 0;
    std::uint64_t finished_ = 0;
    std::size_t flushing_ = 0;  ///< callers of flush()
    bool resting_ = false;      ///< looks again by itself
    bool closing_ = false;
    bool tidied_ = true;                       ///< no spare files are left
    std::set<std::string, std::less<>> left_;  ///< buckets that may be empty; the thread's own
    Time buckets_looked_at_{};
    std::thread thread_;
};

}  // namespace muster::queue
