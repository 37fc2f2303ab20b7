#pragma once
// A node's local copy of the directory: what every look-up reads, and nothing else.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "state/store.h"
#include "state/watch.h"

namespace muster::state {

/// Which file the node's look-ups read, and how fresh it is. One a process; thread-safe. On a
/// master that is the store's own file; elsewhere the newest whole `replica-N.db` of a folder.
class Replica {
public:
    /// Of a store that this process has open; always fresh. `store` must outlive it.
    static std::shared_ptr<Replica> of_store(Store& store, const std::filesystem::path& file);
    /// Of a store's file, whether its process runs or not: for a look from outside.
    static std::shared_ptr<Replica> of_file(const std::filesystem::path& file);
    /// Of a folder that a ReplicaWriter fills. Needs no master: what is there serves at once.
    static Result<std::shared_ptr<Replica>> of_folder(const std::filesystem::path& folder);

    /// This node leads with `store`, whose file serves from now on; it is always fresh. One thread
    /// at a time; `store` must outlive it or the next follow().
    void lead(Store& store, const std::filesystem::path& file);
    /// This node follows from now on; what serves goes on.
    void follow();

    /// False until the first copy is whole: nothing can be said of any name.
    [[nodiscard]] bool filled() const { return generation_.load(std::memory_order_acquire) != 0; }
    /// Time since the source last said that nothing is missing; zero on a master, empty before
    /// this process heard it.
    [[nodiscard]] std::optional<std::chrono::milliseconds> age() const;
    /// Moves whenever entries changed, by any number.
    [[nodiscard]] std::uint64_t version() const { return version_.load(); }
    Watch watch(ChangeCallback callback) { return watches_.add(std::move(callback)); }

    /// A reader met damage (or a value that is no JSON). Said once in the log; the follower then
    /// fetches a new copy while this one serves what it can.
    void report_damage(std::string_view what);
    [[nodiscard]] bool damaged() const { return damaged_.load(); }
    /// A reader cannot use an entry. A value that is no JSON is damage; else a newer version wrote
    /// it, which is said once in the log and changes nothing.
    void report_unreadable(std::string_view key, std::string_view value, std::string_view reason);

    // For readers and the writer.
    [[nodiscard]] std::uint64_t generation() const {
        return generation_.load(std::memory_order_acquire);
    }
    [[nodiscard]] std::filesystem::path file() const;
    [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
    /// Readers move to this file with their next look-up.
    void serve(const std::filesystem::path& file);
    void applied(const Changed& changed);
    /// The source has just said that nothing was missing at `time` (as Store::as_of). What it says
    /// a second time is no news: sources that follow each other would be fresh for ever.
    void heard(std::chrono::milliseconds time);
    /// That time; 1: nothing was heard yet.
    [[nodiscard]] std::chrono::milliseconds as_of() const;

private:
    Replica() = default;
    Result<> find_whole_file();

    std::filesystem::path folder_;
    std::atomic<bool> is_master_{false};
    std::atomic<std::uint64_t> generation_{0};
    std::atomic<std::uint64_t> version_{1};
    std::atomic<bool> damaged_{false};
    std::atomic<std::int64_t> heard_at_{0};  ///< CLOCK_BOOTTIME milliseconds; 0: never
    std::atomic<std::int64_t> as_of_{1};
    mutable std::mutex mutex_;
    std::filesystem::path file_;
    std::set<std::string, std::less<>> unreadable_;  ///< keys that were said, so many at most
    WatchList watches_;
    Watch store_watch_;
};

/// A look-up's answer. `value` stays valid until the next call on the same reader.
struct Row {
    std::string_view value;
    Revision revision = 0;
};

/// Reads the replica in place: one B-tree descent a look-up, in a read transaction of its own, so
/// that no write-ahead log is ever pinned. One per thread. Follows the replica to a new file by
/// itself. Errors: Unavailable (never filled), Corrupt (reported to the replica), Io.
class ReplicaReader {
public:
    explicit ReplicaReader(std::shared_ptr<Replica> replica);
    ReplicaReader(ReplicaReader&&) noexcept;
    ReplicaReader& operator=(ReplicaReader&&) noexcept;
    ~ReplicaReader();

    /// The hot path: allocates nothing once its buffer has grown.
    Result<std::optional<Row>> find(std::string_view key);
    /// As Store::range.
    Result<std::vector<Entry>> range(std::string_view from, std::string_view to, std::size_t limit);
    [[nodiscard]] const std::shared_ptr<Replica>& replica() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace muster::state
