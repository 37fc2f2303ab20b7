#pragma once
// The embedded engine's bulk load: sort everything, then insert it in key order.

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "state/sorted_runs.h"
#include "state/store.h"
#include "state/store_writer.h"

namespace muster::state {

/// What a bulk load needs of its store, which outlives it.
struct BulkTarget {
    std::mutex& mutex;  ///< held while `writer` is used
    StoreWriter& writer;
    const WatchList& watches;
    std::filesystem::path folder;
    std::uint64_t log_limit = 0;
    std::size_t memory = 0;
};

class SqliteBulk : public BulkLoad {
public:
    SqliteBulk(BulkTarget target, BulkOptions options);

    Result<> add(std::string_view key, std::string_view value) override;
    Result<BulkOutcome> finish() override;

private:
    Result<> write(std::string_view key, std::string_view value);
    Result<> write_entry(std::string_view key, std::string_view value);
    Result<> begin();
    Result<> commit();
    Result<> refuse(std::string_view key);

    BulkTarget target_;
    BulkOptions options_;
    SortedRuns runs_;
    std::unique_lock<std::mutex> lock_;
    bool logged_ = false;  ///< few enough entries for the change log
    bool open_ = false;    ///< a transaction is open
    Revision revision_ = 0;
    std::uint64_t ordinal_ = 0;  ///< within the revision
    std::uint64_t in_transaction_ = 0;
    std::string last_key_;
    BulkOutcome outcome_;
};

}  // namespace muster::state
