#pragma once
// The store: entries `key → JSON text @ revision`, changed by conditional transactions.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "state/cursor.h"
#include "state/scope.h"
#include "state/watch.h"

namespace muster::state {

inline constexpr std::size_t kMaxKey = 1024;            ///< bytes; printable UTF-8, never empty
inline constexpr std::size_t kMaxValue = 256 * 1024;    ///< bytes of one JSON text
inline constexpr std::size_t kMaxTransaction = 10'000;  ///< writes; more is a BulkLoad

struct Entry {
    std::string key;
    std::string value;  ///< one JSON value without line breaks
    Revision revision = 0;

    friend bool operator==(const Entry&, const Entry&) = default;
};

/// Holds when the entry has exactly this revision; 0 means that it must be absent.
struct Compare {
    std::string key;
    Revision revision = 0;
};

/// Without a value the entry is deleted (also when there is none).
struct Write {
    std::string key;
    std::optional<std::string> value;
};

struct Transaction {
    std::vector<Compare> conditions{};
    std::vector<Write> writes{};
    std::optional<Revision> head{};  ///< nothing at all may have been written since

    Transaction& expect(std::string key, Revision revision);
    Transaction& expect_head(Revision revision);
    Transaction& put(std::string key, std::string value);
    Transaction& remove(std::string key);
};

/// One step of a change stream: without a value, a tombstone.
struct Change {
    std::string key;
    std::optional<std::string> value;
    Revision revision = 0;

    friend bool operator==(const Change&, const Change&) = default;
};

/// Changes after a cursor, whole transactions, oldest first; each entry once, where it changed
/// last (a change that was overtaken before it was read is not told). Who applied all of them
/// stands at `next` and holds nothing newer.
struct ChangeBatch {
    Standing standing = Standing::Shared;  ///< unless Shared, there is nothing else
    std::vector<Change> changes{};
    Cursor next{};
    bool more = false;  ///< the limit ended it: ask again at once
};

/// A page of entries in key order, read in one short transaction.
struct Page {
    std::vector<Entry> entries{};
    std::string next{};  ///< where the next page begins; empty: this was the last
    Cursor head{};       ///< of the store when the page was read
};

/// One entry of a bulk load. Without `replace` it must not stand already.
struct BulkEntry {
    std::string key;
    std::string value;
    bool replace = false;
};

struct BulkOptions {
    /// One transaction, or none of it; else every group that can be written is.
    bool all_or_nothing = true;
    /// The revision by which the load was made up: groups with a key that somebody else has
    /// changed since are refused. Empty: nobody looks.
    std::optional<Revision> since{};
    /// Told the keys that others have changed, before something is written upon them: may add
    /// more that are to be refused. An error ends the load. Called while the store is locked: may
    /// not call it.
    std::function<Result<>(std::set<std::string, std::less<>>& changed)> others_changed{};
    /// Called now and then from finish() with entries written and entries in all.
    std::function<void(std::uint64_t, std::uint64_t)> progress{};
};

struct BulkRefusal {
    std::uint64_t tag = 0;
    std::string key;
    bool changed = false;  ///< by somebody else meanwhile; false: it stood already
};

struct BulkOutcome {
    std::uint64_t written = 0;            ///< entries
    std::uint64_t refused = 0;            ///< groups
    std::vector<BulkRefusal> refusals{};  ///< the first 10,000 of them
    Revision revision = 0;
};

/// A load of any number of entries in any order. Nothing is seen before finish(); destroying it
/// earlier leaves no trace. One thread.
class BulkLoad {
public:
    virtual ~BulkLoad() = default;
    /// Entries that are written in one transaction or not at all; `tag` is what a refusal names.
    virtual Result<> add(std::span<const BulkEntry> group, std::uint64_t tag) = 0;
    Result<> add(std::string_view key, std::string_view value) {
        const BulkEntry entry{std::string(key), std::string(value)};
        return add({&entry, 1}, 0);
    }
    /// With all_or_nothing a refusal means that nothing was written. ErrorKind::Conflict: more
    /// has changed meanwhile than the store remembers.
    virtual Result<BulkOutcome> finish() = 0;
};

/// Thread-safe. Every call may block on the disk: control and blocking threads only.
class Store {
public:
    virtual ~Store() = default;

    /// Durable when it returns. ErrorKind::Conflict: `detail` is the key whose condition failed.
    /// An empty list of writes only checks the conditions.
    virtual Result<Revision> commit(const Transaction& transaction) = 0;
    virtual std::unique_ptr<BulkLoad> bulk(BulkOptions options) = 0;

    virtual Result<std::optional<Entry>> get(std::string_view key) = 0;
    /// Entries with from <= key < to in key order (bytes); an empty `to` has no end.
    virtual Result<std::vector<Entry>> range(std::string_view from, std::string_view to,
                                             std::size_t limit) = 0;
    /// The same as a page, of what such a reader may see.
    virtual Result<Page> page(std::string_view from, std::string_view to, std::size_t limit,
                              Sight sight) = 0;
    virtual Result<ChangeBatch> changes(const Cursor& since, std::size_t limit, Sight sight) = 0;

    virtual Cursor head() = 0;
    virtual History history() = 0;
    /// When what stands here was everything there is, in ms since 1970 by the master's clock; now,
    /// unless this is a copy. 1: not known.
    virtual std::chrono::milliseconds as_of();
    /// Called when a master starts: what is written from now on is a new term of its mastership.
    virtual Result<> begin_term() = 0;
    virtual Watch watch(ChangeCallback callback) = 0;
};

/// The first key after all keys with this prefix, for `range`.
std::string prefix_end(std::string_view prefix);
/// A key right after `key`, for the next page.
std::string after(std::string_view key);

/// ErrorKind::Syntax or Limit for a key or value that no store takes.
Result<> check_key(std::string_view key);
Result<> check_value(std::string_view value);

/// The two parts of the state; no transaction spans them.
struct Stores {
    std::unique_ptr<Store> coordination;
    std::unique_ptr<Store> directory;
};

}  // namespace muster::state
