#pragma once
// Reads what is in a spool's folders into the schedule.

#include <atomic>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "queue/schedule.h"
#include "queue/spool_files.h"

namespace muster::queue {

struct LoadProgress {
    std::uint64_t known = 0;  ///< messages seen in the folders so far; all of them once `listed`
    std::uint64_t loaded = 0;
    std::uint64_t corrupt = 0;  ///< moved to corrupt/
    std::uint64_t removed = 0;  ///< unfinished ones that were never acknowledged
    bool listed = false;
    bool done = false;
};

enum class Loaded : std::uint8_t { Added, Known, Corrupt, Removed, Gone };
/// Reads one message's file and puts it into the schedule. A damaged file is set aside.
/// Thread-safe.
Loaded load_message(const SpoolFiles& files, Schedule& schedule, const QueueId& id);

[[nodiscard]] Summary summary_of(const MessageFile& message, const RetrySettings& settings,
                                 double random);

/// Runs from its making; ends early when it is destroyed.
class Loader {
public:
    /// Messages that `ids` gave are not touched: they are being written.
    /// `removed` unfinished files were found before.
    Loader(const SpoolFiles& files, Schedule& schedule, const QueueIds& ids, std::uint64_t removed);
    Loader(const Loader&) = delete;
    Loader& operator=(const Loader&) = delete;
    ~Loader();

    /// A message of that id, which `ids` did not give, is about to be written: it is not touched,
    /// either. Thread-safe.
    void leave_out(const QueueId& id);
    [[nodiscard]] LoadProgress progress() const;
    void wait();

private:
    void run();
    void load_some(const std::vector<FoundFile>& found);
    [[nodiscard]] bool is_left_out(const PackedId& id);

    const SpoolFiles& files_;
    Schedule& schedule_;
    const QueueIds& ids_;
    std::atomic<std::uint64_t> known_ = 0, loaded_ = 0, corrupt_ = 0, removed_ = 0;
    std::atomic<std::size_t> next_ = 0;
    std::atomic<bool> listed_ = false, stop_ = false, done_ = false;
    std::mutex mutex_;
    std::set<PackedId> left_out_;  ///< until all is loaded
    std::thread thread_;
};

}  // namespace muster::queue
