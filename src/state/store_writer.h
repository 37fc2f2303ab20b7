#pragma once
// The writing side of one store file: the steps that commits and bulk loads are made of.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "state/cursor.h"
#include "state/schema.h"
#include "state/sqlite.h"

namespace muster::state {

/// The one writing connection of a store. Whoever holds the store's mutex may use it; every step
/// but begin() belongs into a transaction.
class StoreWriter {
public:
    static Result<std::unique_ptr<StoreWriter>> open(const std::filesystem::path& file,
                                                     std::uint64_t log_limit);

    [[nodiscard]] const History& history() const { return history_; }
    /// The same for those who do not hold the store's mutex: thread-safe, never waits for the disk.
    [[nodiscard]] History published() const;

    Result<> begin();
    /// Durable when it returns; head and log are advanced to `revision` with it. On any error
    /// nothing of the transaction stays.
    Result<> commit(Revision revision);
    void rollback();

    /// Adds the keys that changed after `since`; false when the log does not reach back so far.
    Result<bool> changed_since(Revision since, std::set<std::string, std::less<>>& keys);
    /// 0 when there is no such entry.
    Result<Revision> revision_of(std::string_view key);
    Result<> put(std::string_view key, std::string_view value, Revision revision);
    /// False, and nothing done, when the entry exists.
    Result<bool> insert(std::string_view key, std::string_view value, Revision revision);
    Result<> erase(std::string_view key);
    /// `unseen`: what stood there until now is nothing that a mirror saw.
    Result<> log(Revision revision, std::uint64_t ordinal, std::string_view key, bool deleted,
                 bool unseen = false);
    /// Whether the key is of a family of which mirrors see some entries, and not the one that
    /// stands there, if any.
    Result<bool> is_unseen(std::string_view key);
    /// Forgets the log: who stands before `revision` repairs itself by difference.
    Result<> drop_log(Revision revision);

    /// Each a transaction of its own. `rows` are facts of the file that change with the history.
    using MetaRows = std::vector<std::pair<std::string, std::string>>;
    Result<> set_history(History history, MetaRows rows = {});
    void large_cache(bool on);
    void checkpoint();
    Result<> copy_to(const std::filesystem::path& target);

private:
    explicit StoreWriter(std::uint64_t log_limit) : log_limit_(log_limit) {}
    Result<> prepare(const std::filesystem::path& file);
    Result<> load_history();
    Result<> trim();
    void publish();

    std::uint64_t log_limit_;
    Database database_;
    Meta meta_;
    Statement revision_of_;
    Statement put_;
    Statement insert_;
    Statement erase_;
    Statement log_;
    Statement value_of_;
    Statement unseen_;
    Statement unseen_trim_;
    Statement log_boundary_;
    Statement log_trim_;
    Statement log_since_;
    History history_;
    mutable std::mutex published_mutex_;
    History published_;
    std::uint64_t log_rows_ = 0;       ///< as committed
    std::uint64_t open_log_rows_ = 0;  ///< as in the open transaction
};

/// A name for a new or restored history; later ones sort after earlier ones.
std::string make_incarnation(std::string_view former);

/// Whether no mirror sees the entry of that key, of a family that mirrors may see; `value_of`
/// selects its value.
Result<bool> unseen_by_mirrors(Statement& value_of, std::string_view key);

}  // namespace muster::state
