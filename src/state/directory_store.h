#pragma once
// The directory of a node that may lead: a store while it does, a source for others all the time.

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>

#include "state/replica.h"
#include "state/sqlite_store.h"
#include "state/store_reader.h"

namespace muster::state {

/// The public text of an error that says: this node does not lead, or not now. Nothing was changed,
/// and the same may be asked of the next master in a moment.
inline constexpr std::string_view kMasterChanging = "the master is changing";

/// Reads the file that the node's replica serves, whoever writes it; what changes goes to the store
/// that the node leads with, and is refused while there is none, or while writes are stopped. Those
/// who hold it need not notice when the node is promoted or deposed: streams go on. Thread-safe.
///
/// Errors beside those of a store: Unavailable from page() and changes() while the replica is
/// copied or repaired; the error given to stop_writes() from whatever changes something.
class DirectoryStore final : public SqliteStore {
public:
    explicit DirectoryStore(std::shared_ptr<Replica> replica);
    ~DirectoryStore() override;

    /// The node leads with `store`.
    void lead(std::shared_ptr<SqliteStore> store);
    /// From now on whatever changes something ends with `why`, and nothing that was begun before
    /// still runs when this returns. Unavailable when that takes longer than `patience` (a large
    /// import); nothing new begins then either.
    Result<> stop_writes(Error why, std::chrono::milliseconds patience);
    void allow_writes();
    /// Why writes are stopped.
    [[nodiscard]] std::optional<Error> stopped() const;
    /// The node leads no longer: its file becomes a replica's. Writes must have been stopped. Every
    /// change after this is refused as `not leading`.
    Result<> follow();
    /// Empty unless the node leads.
    [[nodiscard]] std::shared_ptr<SqliteStore> leading() const;

    Result<Revision> commit(const Transaction& transaction) override;
    std::unique_ptr<BulkLoad> bulk(BulkOptions options) override;
    Result<std::optional<Entry>> get(std::string_view key) override;
    Result<std::vector<Entry>> range(std::string_view from, std::string_view to,
                                     std::size_t limit) override;
    Result<Page> page(std::string_view from, std::string_view to, std::size_t limit,
                      Sight sight) override;
    Result<ChangeBatch> changes(const Cursor& since, std::size_t limit, Sight sight) override;
    Cursor head() override { return history().cursor(); }
    /// Empty while the replica is copied or repaired.
    History history() override;
    std::chrono::milliseconds as_of() override { return replica_->as_of(); }
    Result<> begin_term() override;
    Watch watch(ChangeCallback callback) override { return replica_->watch(std::move(callback)); }

    [[nodiscard]] const std::filesystem::path& file() const override { return file_; }
    Result<> backup_to(const std::filesystem::path& target) override;
    [[nodiscard]] std::string trouble() override;
    Result<> renew_incarnation() override;
    Result<> begin_mastership() override;
    Result<> note_hand_over(std::string_view to) override;
    Result<> become_replica() override { return follow(); }

private:
    class Load;
    /// The store to write to.
    Result<std::shared_ptr<SqliteStore>> writable() const;
    Result<std::shared_ptr<SqliteStore>> led() const;
    Result<std::shared_ptr<ReaderPool>> readers();

    std::shared_ptr<Replica> replica_;
    std::filesystem::path file_;  ///< as it was when the node began to lead last
    mutable std::mutex mutex_;
    std::shared_ptr<SqliteStore> store_;
    std::optional<Error> refusal_;
    std::shared_ptr<ReaderPool> pool_;
    std::uint64_t pool_generation_ = 0;
    std::shared_timed_mutex running_;  ///< shared by changes that run
};

}  // namespace muster::state
