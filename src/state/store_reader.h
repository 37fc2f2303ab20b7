#pragma once
// The reading side of one store file.

#include <cstddef>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "state/schema.h"
#include "state/sqlite.h"
#include "state/store.h"

namespace muster::state {

/// One reading connection; each call is one short read transaction. One thread at a time.
class StoreReader {
public:
    static Result<std::unique_ptr<StoreReader>> open(const std::filesystem::path& file);

    /// Unavailable while the file is a replica's that is not in step.
    Result<History> history();
    Result<std::optional<Entry>> get(std::string_view key);
    Result<std::vector<Entry>> range(std::string_view from, std::string_view to, std::size_t limit);
    Result<Page> page(std::string_view from, std::string_view to, std::size_t limit, Sight sight);
    Result<ChangeBatch> changes(const Cursor& since, std::size_t limit, Sight sight);

private:
    StoreReader() = default;
    Result<> prepare(const std::filesystem::path& file);
    Result<History> read_history();
    Result<> fill_page(Page& page, std::string_view from, std::string_view to, std::size_t limit,
                       Sight sight);
    Result<ChangeBatch> read_changes(const Cursor& since, std::size_t limit, Sight sight);
    Result<> add_change(ChangeBatch& batch, Revision revision, std::string_view key, bool deleted,
                        Sight sight);
    /// The same for a mirror; `ordinal` is the row's.
    Result<> add_mirror_change(ChangeBatch& batch, Revision revision, std::uint64_t ordinal,
                               std::string_view key, Sight sight);

    Database database_;
    Meta meta_;
    Statement get_;
    Statement scan_;
    Statement log_;
    Statement unseen_;
};

/// Reading connections that are free, so that callers of many threads do not wait for each other.
class ReaderPool {
public:
    explicit ReaderPool(std::filesystem::path file) : file_(std::move(file)) {}

    class Lease {
    public:
        Lease(ReaderPool& pool, std::unique_ptr<StoreReader> reader)
            : pool_(&pool), reader_(std::move(reader)) {}
        Lease(Lease&&) = default;
        Lease& operator=(Lease&&) = delete;
        ~Lease() {
            if (reader_) pool_->give_back(std::move(reader_));
        }
        StoreReader* operator->() const { return reader_.get(); }

    private:
        ReaderPool* pool_;
        std::unique_ptr<StoreReader> reader_;
    };
    Result<Lease> take();

private:
    void give_back(std::unique_ptr<StoreReader> reader);

    std::filesystem::path file_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<StoreReader>> free_;
};

}  // namespace muster::state
