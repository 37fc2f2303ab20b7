#pragma once
// The writing side of a replica: first copies, changes, repairs.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "state/feed.h"
#include "state/replica.h"
#include "state/replica_history.h"
#include "state/schema.h"
#include "state/store_writer.h"

namespace muster::state {

/// Where a replica stands with its source. It survives restarts.
struct ReplicaPosition {
    enum class Stage : std::uint8_t {
        Empty,      ///< nothing yet
        Copying,    ///< a copy is being made, pages before `next` are there
        Repairing,  ///< ranges before `next` were compared
        Following,  ///< everything up to `cursor` is there
    };
    Stage stage = Stage::Empty;
    Cursor cursor{};  ///< Copying, Repairing: where to follow from afterwards
    std::string next{};
    /// Pages were read up to here: rows may be as new as this, so a source must share it, too.
    Cursor settle{};
};

/// The only writer of a replica's folder. Each step is one transaction together with the position
/// it leads to, so that an interruption at any point goes on from there. One thread.
///
/// A copy is made in a new file while the old one goes on serving; repairs and changes go into the
/// file that serves.
///
/// A replica of all scopes belongs to a node that may lead. Once it is in step it is kept as a
/// store (ReplicaHistory).
class ReplicaWriter {
public:
    /// A replica that was filled for another scope has to be repaired first.
    static Result<std::unique_ptr<ReplicaWriter>> open(std::shared_ptr<Replica> replica,
                                                       Scope scope);

    [[nodiscard]] const ReplicaPosition& position() const { return position_; }

    Result<> begin_copy(const Cursor& start);
    /// Entries of one page, in key order; `seen` is the source's head when it was read.
    Result<> add_page(const std::vector<Entry>& entries, std::string_view next, const Cursor& seen);
    /// The copy is whole: from now on it serves.
    Result<> finish_copy();

    Result<> apply(const std::vector<Change>& changes, const Cursor& cursor);
    /// The source's table of terms, which belongs to what is applied next.
    void note_terms(std::vector<Term> terms) { history_.note_terms(std::move(terms)); }

    /// Without a cursor: as soon as a source answers.
    Result<> begin_repair(const Cursor& start);
    [[nodiscard]] Result<bool> holds_entries();
    /// Reads all keys.
    [[nodiscard]] Result<std::uint64_t> count_entries();
    /// Makes the range [from, to) exactly `entries`; an empty `to` has no end.
    Result<> replace_range(std::string_view from, std::string_view to,
                           const std::vector<Entry>& entries, const Cursor& seen);
    /// What comes before `next` is equal now.
    Result<> repaired_up_to(std::string_view next, const Cursor& seen);
    Result<> finish_repair();

    /// Of the range [from, to].
    Result<RangeDigest> digest(std::string_view from, std::string_view to);

private:
    ReplicaWriter(std::shared_ptr<Replica> replica, Scope scope)
        : replica_(std::move(replica)), scope_(scope) {}
    Result<> attach(const std::filesystem::path& file, Database::Mode mode);
    Result<> load_position();
    Result<> transact(const std::function<Result<>()>& steps);
    Result<> store_position(const ReplicaPosition& position);
    Result<> upsert(const Entry& entry);
    [[nodiscard]] bool keeps_history() const { return scope_ == Scope::All; }
    Result<> replace_rows(std::string_view from, std::string_view to,
                          const std::vector<Entry>& entries, std::vector<std::string>& changed,
                          std::vector<std::string>& gone);

    std::shared_ptr<Replica> replica_;
    Scope scope_;
    std::filesystem::path file_;
    Database database_;
    Meta meta_;
    Statement put_;
    Statement put_newer_;
    Statement erase_;
    Statement erase_older_;
    Statement scan_;
    ReplicaHistory history_{database_, meta_};
    ReplicaPosition position_;
};

/// What makes the file of a store one of a replica that is in step at `cursor`.
StoreWriter::MetaRows replica_rows(const Cursor& cursor);

/// The files of a replica's folder: `replica-N.db`, ascending N; before them (0) a former master's
/// `directory.db`.
struct ReplicaFile {
    std::uint64_t number = 0;
    std::filesystem::path path;
};
std::vector<ReplicaFile> replica_files(const std::filesystem::path& folder);
/// With its write-ahead log. Readers that have it open keep it until they close it.
void remove_replica_file(const std::filesystem::path& path);

}  // namespace muster::state
