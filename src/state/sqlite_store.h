#pragma once
// The embedded engine: one SQLite file (WAL) per part of the state.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "state/store.h"

namespace muster::state {

struct SqliteStoreOptions {
    /// How many changes the log keeps for followers; older ones repair themselves by difference.
    std::uint64_t log_limit = 1'000'000;
    /// Memory of a bulk load before it spills sorted runs to temporary files beside the store.
    std::size_t bulk_memory = std::size_t{128} << 20;
};

/// Opens or creates the file. Refused with a message that says what to do: ErrorKind::Corrupt (a
/// damaged file), Refused (more than one format version newer), Unavailable (another process has
/// it open), Io.
class SqliteStore : public Store {
public:
    static Result<std::unique_ptr<SqliteStore>> open(const std::filesystem::path& file,
                                                     SqliteStoreOptions options = {});

    /// Where a Replica of this store reads.
    [[nodiscard]] virtual const std::filesystem::path& file() const = 0;
    /// A whole, compact copy of the store as it stands now. The target must not exist.
    virtual Result<> backup_to(const std::filesystem::path& target) = 0;
    /// Why the last change could not be written; empty once one was.
    [[nodiscard]] virtual std::string trouble() = 0;
    /// After a restore: every follower finds itself diverged and repairs itself by difference.
    virtual Result<> renew_incarnation() = 0;

    // Change of master. What a node is stands in the file itself, in the transaction that makes it
    // so: a node that is killed at any moment starts as one or the other.

    /// This node is promoted: the file is a master's from now on, and a new mastership begins.
    virtual Result<> begin_mastership() = 0;
    /// Another node is about to be promoted in this one's place; empty: no longer. A master that
    /// finds such a note when it starts must ask that node before it leads.
    virtual Result<> note_hand_over(std::string_view to) = 0;
    /// The file is a replica's from now on, of all scopes: nothing may be committed any more.
    virtual Result<> become_replica() = 0;
};

/// The file with which the node of this state folder leads; nothing when it does not. A
/// `directory.db` that was never a replica leads, as does every file after begin_mastership().
std::optional<std::filesystem::path> leading_file(const std::filesystem::path& folder);
/// What note_hand_over() left in a file; empty: nothing.
Result<std::string> noted_hand_over(const std::filesystem::path& file);

/// `coordination.db` and `directory.db` in `folder`, which must exist.
Result<Stores> open_stores(const std::filesystem::path& folder, SqliteStoreOptions options = {});

/// The name of the directory's file in a state folder.
std::filesystem::path directory_file(const std::filesystem::path& folder);

}  // namespace muster::state
