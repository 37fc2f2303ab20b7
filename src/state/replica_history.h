#pragma once
// What makes a replica of all scopes a store.

#include <cstdint>
#include <utility>
#include <vector>

#include "state/schema.h"
#include "state/store.h"

namespace muster::state {

/// The source's history, and a log of the changes from the moment the replica was in step: others
/// can follow its file, and it can be promoted as it stands (DirectoryStore). The part of a
/// ReplicaWriter that writes them, in its transactions. One thread.
class ReplicaHistory {
public:
    /// Of the writer, whose file may be another one after release() and prepare().
    ReplicaHistory(Database& database, Meta& meta) : database_(database), meta_(meta) {}

    void release();
    Result<> prepare();
    /// Reads what the file holds; of no use unless that ends at `cursor`, where the replica stands.
    Result<> load(const Cursor& cursor);

    /// The source's table of terms, which belongs to what is written next.
    void note_terms(std::vector<Term> terms) { terms_ = std::move(terms); }
    [[nodiscard]] bool has_terms() const { return !terms_.empty(); }
    /// Whether the file lacks what would make it a store.
    [[nodiscard]] bool is_owed() const {
        return has_terms() && (!is_store_ || terms_ != terms_stored_);
    }

    // Steps of a transaction that applies changes: before these are written, after, and once it is
    // committed.

    /// Which of them replace what mirrors did not see. Of several changes of one key the later ones
    /// are taken for seen.
    Result<> note_unseen(const std::vector<Change>& changes);
    Result<> write(const std::vector<Change>& changes, const Cursor& cursor);
    void written(std::size_t changes);

    /// A step of a copy's or a repair's transactions: rows of several moments stand beside each
    /// other, so the file is no store.
    Result<> interrupt();

private:
    Result<> log(const std::vector<Change>& changes);
    Result<> trim();

    Database& database_;
    Meta& meta_;
    Statement log_;
    Statement value_of_;
    Statement unseen_;
    std::vector<Term> terms_;         ///< of the source
    std::vector<Term> terms_stored_;  ///< as they stand in the file
    bool is_store_ = false;           ///< the file holds a history, and a log from its floor on
    std::uint64_t log_rows_ = 0;
};

}  // namespace muster::state
