#pragma once
// Accounts by the million, in and out: CSV with a header row (RFC 4180) or JSON lines.
//
// Columns, fields: address (required), id, home, state (active|disabled), quota (bytes, or with
// K, M, G, T), epoch, password (plain or `{SCHEME}…`), keys (JSON: list; CSV: separated by
// spaces), aliases (likewise). Empty means "not given". An alias for several addresses is a row of
// its own: in CSV one with nothing but `address` and `to` (separated by spaces), in JSON lines
// `{"alias":A,"to":[…]}`.
//
// Plain passwords cost about a millisecond of CPU each (4096 rounds of PBKDF2, spread over
// `threads`): a million on two cores take about ten minutes. Hashes cost nothing. Memory: about
// 16 bytes a row, to find rows that say the same address twice, and where rows give ids as much for
// each account that stands.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cluster/entries.h"
#include "state/store.h"

namespace muster::cluster {

enum class AccountFormat : std::uint8_t { Csv, JsonLines };
Result<AccountFormat> account_format_from(std::string_view text);  ///< "csv" | "jsonl"

inline constexpr std::size_t kMaxImportLine =
    64 * 1024;                                       ///< bytes of one row, line breaks included
inline constexpr std::size_t kMaxImportFields = 64;  ///< columns
inline constexpr std::size_t kMaxRejectedListed = 1'000;

/// Fills the buffer from the file; 0 at its end.
using ByteReader = std::function<Result<std::size_t>(std::span<char>)>;
using ByteWriter = std::function<Result<>(std::string_view)>;

struct RejectedRow {
    std::uint64_t line = 0;  ///< where the row begins, counted from 1
    std::string reason;
};

struct ImportProgress {
    std::uint64_t rows = 0;  ///< read so far
    std::uint64_t rejected = 0;
    std::uint64_t written = 0;  ///< entries, while the store writes; 0 before
    std::uint64_t to_write = 0;
};

struct ImportOptions {
    AccountFormat format = AccountFormat::Csv;
    bool all_or_nothing = true;  ///< one rejected row: nothing is written
    /// Rows of accounts that exist: replaced (id, and what the row does not give, stay) or
    /// rejected.
    bool update_existing = false;
    bool dry_run = false;                                   ///< only says what would happen
    unsigned threads = 0;                                   ///< for hashing; 0: one a CPU
    std::function<void(const ImportProgress&)> progress{};  ///< about every 10,000 rows
};

struct ImportReport {
    std::uint64_t rows = 0;
    std::uint64_t created = 0;
    std::uint64_t updated = 0;
    std::uint64_t rejected = 0;
    std::vector<RejectedRow> rejected_rows;  ///< the first kMaxRejectedListed of them
    bool written = false;  ///< false: rows were rejected and all_or_nothing asked for, or a dry run
    /// Accounts, as they stood before, that were disabled or got another home: their sessions are
    /// to be ended. Some 300 bytes each.
    std::vector<Account> to_end;
};

/// Errors are what ends the whole import: no header row, a broken file, the store, a domain of the
/// rows that was changed meanwhile (Conflict). Rejected rows are no error. Others may change
/// accounts meanwhile: what somebody has made, changed or deleted since the import began stays as
/// it is, and the row that speaks of it is rejected.
Result<ImportReport> import_accounts(state::Store& directory, const ByteReader& input,
                                     const ImportOptions& options);

struct ExportOptions {
    AccountFormat format = AccountFormat::Csv;
    bool with_keys = false;  ///< password keys, for a backup or another cluster
    std::string domain{};    ///< only this domain; empty: all
    std::function<void(std::uint64_t accounts)> progress{};
};

/// Rows in key order, streamed. Returns how many accounts. Aliases for one address go into its
/// row; they are held in memory meanwhile.
Result<std::uint64_t> export_accounts(state::Store& directory, const ByteWriter& output,
                                      const ExportOptions& options);

}  // namespace muster::cluster
