#pragma once
// Makes messages durable, many with one sync.

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "queue/spool_files.h"

namespace muster::queue {

/// One message on its way to the disk.
struct Arrival {
    QueueId id;
    std::shared_ptr<const Envelope> envelope;
    std::shared_ptr<const Content> content;
    Shelf shelf = Shelf::Active;
    std::function<void(Result<>)> done;  ///< on a keeper thread, after the sync or a failure
    File file;                           ///< once written
};

/// What one sync of `count` files should be. Pure; learns from what syncs took: one syncfs serves
/// all files, but writes whatever others have dirty on the file system, too.
class SyncPolicy {
public:
    [[nodiscard]] bool together(std::size_t count) const;
    void took(bool together, std::size_t count, std::chrono::nanoseconds time);

private:
    double together_ = 0.0;  ///< ns a sync, running means
    double single_ = 0.0;    ///< ns a file
    mutable double doubt_ = 1.0;
};

/// Two or more threads: each writes what has come, and one at a time syncs what was written. While
/// one sync runs, the next one's files gather. Thread-safe.
class Keeper {
public:
    struct Figures {
        std::uint64_t syncs = 0;
        std::uint64_t together = 0;
        std::chrono::nanoseconds time{};
    };

    /// `may_keep` is asked before each round, and after each sync: false fails all.
    Keeper(const SpoolFiles& files, std::size_t threads, std::function<Result<>()> may_keep);
    Keeper(const Keeper&) = delete;
    Keeper& operator=(const Keeper&) = delete;
    ~Keeper();

    void keep(Arrival arrival);
    /// Finishes all that came; nothing may come afterwards.
    void close();
    [[nodiscard]] Figures figures() const;

private:
    void run();
    void write(std::unique_lock<std::mutex>& lock);
    void sync(std::unique_lock<std::mutex>& lock);
    Result<> sync_all(const std::vector<Arrival>& arrivals, bool together) const;

    const SpoolFiles& files_;
    const std::function<Result<>()> may_keep_;
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Arrival> to_write_;
    std::vector<Arrival> written_;
    std::size_t writing_ = 0;
    std::size_t idle_ = 0;
    bool syncing_ = false;
    bool closing_ = false;
    SyncPolicy policy_;
    Figures figures_;
    std::vector<std::thread> threads_;
};

}  // namespace muster::queue
