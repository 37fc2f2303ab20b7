#include "state/store_reader.h"

#include <array>
#include <utility>

namespace muster::state {
namespace {

/// What one read may gather, so that pages of large values stay bounded, too.
constexpr std::size_t kMaxBytes = std::size_t{4} << 20;
/// Rows looked at for one that is visible, so that a read stays short.
constexpr std::size_t kScanFactor = 8;

/// Where the next key that might be visible begins: all keys of a family share their scope.
std::string skip_family(std::string_view key) {
    const auto slash = key.find('/');
    return slash == std::string_view::npos ? after(key) : prefix_end(key.substr(0, slash + 1));
}

/// A deferred transaction: everything read within is of one moment.
class Snapshot {
public:
    explicit Snapshot(Database& database) : database_(database) {}
    Snapshot(const Snapshot&) = delete;
    Snapshot& operator=(const Snapshot&) = delete;
    ~Snapshot() { database_.rollback(); }
    Result<> begin() { return database_.run("BEGIN"); }

private:
    Database& database_;
};

}  // namespace

Result<std::unique_ptr<StoreReader>> StoreReader::open(const std::filesystem::path& file) {
    std::unique_ptr<StoreReader> reader(new StoreReader);
    if (auto done = reader->prepare(file); !done) return std::unexpected(done.error());
    return reader;
}

Result<> StoreReader::prepare(const std::filesystem::path& file) {
    auto database = Database::open(file, Database::Mode::Existing);
    if (!database) return std::unexpected(database.error());
    database_ = std::move(*database);
    if (auto done = database_.run("PRAGMA query_only = 1"); !done) return done;
    auto meta = Meta::of(database_);
    if (!meta) return std::unexpected(meta.error());
    meta_ = std::move(*meta);
    static constexpr std::array<std::pair<Statement StoreReader::*, std::string_view>, 4> kSql{{
        {&StoreReader::get_, "SELECT value, revision FROM entry WHERE key = ?1"},
        {&StoreReader::scan_,
         "SELECT key, value, revision FROM entry WHERE key >= ?1 ORDER BY key"},
        {&StoreReader::log_,
         "SELECT revision, key, deleted, ordinal FROM change WHERE revision > ?1 "
         "ORDER BY revision, ordinal"},
        {&StoreReader::unseen_,
         "SELECT 1 FROM unseen WHERE revision = ?1 AND ordinal = ?2 AND key = ?3"},
    }};
    for (const auto& [statement, sql] : kSql) {
        auto prepared = database_.prepare(sql);
        if (!prepared) return std::unexpected(prepared.error());
        this->*statement = std::move(*prepared);
    }
    return {};
}

Result<History> StoreReader::read_history() {
    auto history = meta_.history();
    if (history && history->incarnation.empty()) {
        return fail(ErrorKind::Unavailable, "the source is not in step itself",
                    "a replica that is copied or repaired is no source");
    }
    return history;
}

Result<History> StoreReader::history() {
    Snapshot snapshot(database_);
    if (auto done = snapshot.begin(); !done) return std::unexpected(done.error());
    return read_history();
}

Result<std::optional<Entry>> StoreReader::get(std::string_view key) {
    get_.bind(1, key);
    const auto row = get_.step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return std::nullopt;
    Entry entry{std::string(key), std::string(get_.text(0)), get_.number(1)};
    get_.reset();
    return entry;
}

Result<std::vector<Entry>> StoreReader::range(std::string_view from, std::string_view to,
                                              std::size_t limit) {
    std::vector<Entry> entries;
    scan_.bind(1, from);
    while (entries.size() < limit) {
        const auto row = scan_.step();
        if (!row) return std::unexpected(row.error());
        if (!*row || (!to.empty() && scan_.text(0) >= to)) break;
        entries.push_back(
            {std::string(scan_.text(0)), std::string(scan_.text(1)), scan_.number(2)});
    }
    scan_.reset();
    return entries;
}

Result<Page> StoreReader::page(std::string_view from, std::string_view to, std::size_t limit,
                               Sight sight) {
    Snapshot snapshot(database_);
    if (auto done = snapshot.begin(); !done) return std::unexpected(done.error());
    const auto history = read_history();
    if (!history) return std::unexpected(history.error());
    Page page{.entries = {}, .next = {}, .head = history->cursor()};
    const auto done = fill_page(page, from, to, limit, sight);
    scan_.reset();
    if (!done) return std::unexpected(done.error());
    return page;
}

Result<> StoreReader::fill_page(Page& page, std::string_view from, std::string_view to,
                                std::size_t limit, Sight sight) {
    std::string start(from);
    std::size_t bytes = 0;
    std::size_t scanned = 0;
    scan_.bind(1, start);
    while (true) {
        const auto row = scan_.step();
        if (!row) return std::unexpected(row.error());
        if (!*row) return {};
        const std::string_view key = scan_.text(0);
        if (!to.empty() && key >= to) return {};
        if (!visible(key, sight)) {
            std::string next = skip_family(key);
            scan_.reset();
            start = std::move(next);
            scan_.bind(1, start);
            continue;
        }
        if (!visible(key, scan_.text(1), sight)) {
            if (++scanned < kScanFactor * limit) continue;
            page.next = after(page.entries.empty() ? key : page.entries.back().key);
            return {};
        }
        if (page.entries.size() >= limit || bytes >= kMaxBytes) {
            page.next = key;
            return {};
        }
        page.entries.push_back({std::string(key), std::string(scan_.text(1)), scan_.number(2)});
        bytes += key.size() + page.entries.back().value.size();
    }
}

Result<ChangeBatch> StoreReader::changes(const Cursor& since, std::size_t limit, Sight sight) {
    Snapshot snapshot(database_);
    if (auto done = snapshot.begin(); !done) return std::unexpected(done.error());
    auto batch = read_changes(since, limit, sight);
    log_.reset();
    return batch;
}

Result<ChangeBatch> StoreReader::read_changes(const Cursor& since, std::size_t limit, Sight sight) {
    const auto history = read_history();
    if (!history) return std::unexpected(history.error());
    ChangeBatch batch{.standing = standing(*history, since)};
    if (batch.standing != Standing::Shared) return batch;
    const auto floor = meta_.number("log_floor");
    if (!floor) return std::unexpected(floor.error());
    if (since.revision < *floor) {
        batch.standing = Standing::Trimmed;
        return batch;
    }
    History reached = *history;
    std::size_t bytes = 0;
    std::size_t scanned = 0;
    Revision last = since.revision;
    log_.bind(1, since.revision);
    while (true) {
        const auto row = log_.step();
        if (!row) return std::unexpected(row.error());
        if (!*row) break;
        const Revision revision = log_.number(0);
        const bool full =
            batch.changes.size() >= limit || scanned >= kScanFactor * limit || bytes >= kMaxBytes;
        if (full && revision != last) {
            batch.more = true;
            reached.head = last;
            break;
        }
        last = revision;
        ++scanned;
        const std::string_view key = log_.text(1);
        if (!visible(key, sight)) continue;
        const auto told = batch.changes.size();
        auto done = sight.scope == Scope::Mirror
                        ? add_mirror_change(batch, revision, log_.number(3), key, sight)
                        : add_change(batch, revision, key, log_.number(2) != 0, sight);
        if (!done) return std::unexpected(done.error());
        if (batch.changes.size() > told && batch.changes.back().value) {
            bytes += batch.changes.back().value->size();
        }
    }
    batch.next = reached.cursor();
    return batch;
}

Result<> StoreReader::add_change(ChangeBatch& batch, Revision revision, std::string_view key,
                                 bool deleted, Sight sight) {
    get_.bind(1, key);
    const auto row = get_.step();
    if (!row) return std::unexpected(row.error());
    if (!*row) {
        if (deleted) batch.changes.push_back({std::string(key), std::nullopt, revision});
        return {};
    }
    // What changed again later is told there.
    if (!deleted && get_.number(1) == revision) {
        std::optional<std::string> value;
        if (visible(key, get_.text(0), sight)) value = get_.text(0);
        batch.changes.push_back({std::string(key), std::move(value), revision});
    }
    get_.reset();
    return {};
}

/// What a mirror cannot see is told as gone with each change that it may have seen until then, also
/// where the key changed again later: that change then says that it was unseen already.
Result<> StoreReader::add_mirror_change(ChangeBatch& batch, Revision revision,
                                        std::uint64_t ordinal, std::string_view key, Sight sight) {
    get_.bind(1, key);
    auto row = get_.step();
    if (!row) return std::unexpected(row.error());
    if (*row && visible(key, get_.text(0), sight)) {
        if (get_.number(1) == revision) {
            batch.changes.push_back({std::string(key), std::string(get_.text(0)), revision});
        }
        get_.reset();
        return {};
    }
    get_.reset();
    unseen_.bind(1, revision);
    unseen_.bind(2, ordinal);
    unseen_.bind(3, key);
    row = unseen_.step();
    if (!row) return std::unexpected(row.error());
    if (!*row) batch.changes.push_back({std::string(key), std::nullopt, revision});
    unseen_.reset();
    return {};
}

Result<ReaderPool::Lease> ReaderPool::take() {
    {
        const std::lock_guard lock(mutex_);
        if (!free_.empty()) {
            auto reader = std::move(free_.back());
            free_.pop_back();
            return Lease(*this, std::move(reader));
        }
    }
    auto reader = StoreReader::open(file_);
    if (!reader) return std::unexpected(reader.error());
    return Lease(*this, std::move(*reader));
}

void ReaderPool::give_back(std::unique_ptr<StoreReader> reader) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(reader));
}

}  // namespace muster::state
