#pragma once
// The embedded engine's bulk load: sort everything, then insert it in key order.

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "state/sorted_runs.h"
#include "state/store.h"
#include "state/store_writer.h"
#include "state/turn_mutex.h"

namespace muster::state {

/// What a bulk load needs of its store, which outlives it.
struct BulkTarget {
    TurnMutex& mutex;  ///< held while `writer` is used
    StoreWriter& writer;
    const WatchList& watches;
    std::filesystem::path folder;
    std::uint64_t log_limit = 0;
    std::size_t memory = 0;
};

/// All or nothing: entries are sorted one by one and written in one transaction, the quickest way
/// to fill a B-tree. Else whole groups are sorted by their first key and written some thousands
/// at a time, each lot sorted again: no group is ever torn by a crash, and other commits get
/// their turn in between.
class SqliteBulk : public BulkLoad {
public:
    SqliteBulk(BulkTarget target, BulkOptions options);

    using BulkLoad::add;
    Result<> add(std::span<const BulkEntry> group, std::uint64_t tag) override;
    Result<BulkOutcome> finish() override;

private:
    struct EntryView {
        std::string_view key;
        std::string_view value;
        bool replace = false;
    };
    struct Group {
        std::uint64_t tag = 0;
        std::vector<EntryView> entries;
    };
    using Keys = std::unordered_set<std::string_view>;

    static std::string pack(std::span<const BulkEntry> group, std::uint64_t tag);
    static Group unpack(std::string_view packed);

    Result<> load_whole();
    Result<> write_whole(const Group& group);
    Result<> load_in_lots();
    Result<> write_lot();
    Result<> fill_lot();

    /// Reads what others have changed since the last look.
    Result<> look_around();
    /// What stands in the way of the group; `own`: keys of the same lot.
    Result<std::optional<BulkRefusal>> obstacle(const Group& group, const Keys& own);
    void refuse(BulkRefusal refusal);
    /// False when it may not replace what stands there.
    Result<bool> place(const EntryView& entry);
    Result<> begin();
    Result<> commit();
    void tell(std::uint64_t written) const;

    BulkTarget target_;
    BulkOptions options_;
    SortedRuns runs_;
    std::uint64_t entries_ = 0;  ///< added
    std::unique_lock<TurnMutex> lock_;
    bool logged_ = false;  ///< few enough entries for the change log
    bool open_ = false;    ///< a transaction is open
    Revision revision_ = 0;
    std::uint64_t ordinal_ = 0;  ///< within the revision
    std::uint64_t in_transaction_ = 0;
    std::optional<Revision> looked_;  ///< changes up to there stand in `changed_`
    std::set<std::string, std::less<>> changed_;
    std::vector<std::string> lot_;  ///< packed groups
    std::uint64_t lot_entries_ = 0;
    std::set<std::uint64_t> refused_tags_;
    BulkOutcome outcome_;
};

}  // namespace muster::state
