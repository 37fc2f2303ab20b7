#pragma once
// The file format that stores and replicas share.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "state/cursor.h"
#include "state/sqlite.h"

namespace muster::state {

/// Written into each file. Formats change only additively, so a program reads files of its own
/// version, of every older one and of the next one, and refuses what is newer still.
inline constexpr std::uint64_t kFormat = 1;

/// Facts of a file (Meta) that say what it is: `1` in the first, a master's; `0`, one that was a
/// master's and is a replica's now. The second names the node that is to lead next.
inline constexpr std::string_view kLeadsRow = "leads";
inline constexpr std::string_view kHandOverRow = "hand_over";

enum class FileKind : std::uint8_t { Store, Replica };

/// Opens (or creates) a file in WAL mode, with its tables in place. Corrupt and Refused errors
/// say what the operator can do.
Result<Database> open_state_file(const std::filesystem::path& file, FileKind kind,
                                 Database::Mode mode);

/// Looks at a bounded sample of the entries, spread over the key space; milliseconds whatever the
/// size. SQLite itself says Corrupt when the pages on the way do not fit together.
Result<> check_sample(Database& database);

/// The small facts of a file: incarnation, terms, head, progress of a copy …
class Meta {
public:
    static Result<Meta> of(Database& database);

    /// Empty when it was never set.
    Result<std::string> text(std::string_view name);
    Result<std::uint64_t> number(std::string_view name);
    Result<> set(std::string_view name, std::string_view value);
    Result<> set(std::string_view name, std::uint64_t value);
    /// As a store holds it; without an incarnation in the file of a replica that is none (any more).
    Result<History> history();

private:
    Statement get_;
    Statement set_;
};

/// Terms as stored: `1:0 2:400`.
std::string format_terms(const std::vector<Term>& terms);
Result<std::vector<Term>> parse_terms(std::string_view text);

}  // namespace muster::state
