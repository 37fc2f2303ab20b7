#include "state/replica_writer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ranges>
#include <system_error>
#include <tuple>
#include <utility>

#include "state/sqlite_store.h"

namespace muster::state {
namespace {

using Stage = ReplicaPosition::Stage;

/// More, and watches are told "everything", with the keys of those that were deleted: nobody could
/// find out about them later.
constexpr std::size_t kMaxKeysTold = 1'000;
/// Rows compared in one transaction of a repair.
constexpr std::size_t kRepairRows = 5'000;
constexpr std::array<std::string_view, 4> kStages{"empty", "copying", "repairing", "following"};

const Cursor& later(const Cursor& a, const Cursor& b) {
    return std::tie(a.incarnation, a.term, a.revision) < std::tie(b.incarnation, b.term, b.revision)
               ? b
               : a;
}

Result<Cursor> stored_cursor(Meta& meta, std::string_view name) {
    const auto text = meta.text(name);
    if (!text) return std::unexpected(text.error());
    if (text->empty()) return Cursor{};
    return parse_cursor(*text);
}

std::string stored(const Cursor& cursor) { return cursor.empty() ? "" : format(cursor); }

/// Anything else under that name is a master's, or none of ours.
bool is_former_master(const std::filesystem::path& file) {
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) return false;
    auto database = Database::open(file, Database::Mode::Existing);
    if (!database) return false;
    auto meta = Meta::of(*database);
    if (!meta) return false;
    const auto leads = meta->text(kLeadsRow);
    return leads && *leads == "0";
}

}  // namespace

StoreWriter::MetaRows replica_rows(const Cursor& cursor) {
    return {{std::string(kLeadsRow), "0"},
            {std::string(kHandOverRow), ""},
            {"whole", "1"},
            {"stage", std::string(kStages[static_cast<std::size_t>(Stage::Following)])},
            {"cursor", stored(cursor)},
            {"next", ""},
            {"settle", ""},
            {"scope", std::to_string(static_cast<int>(Scope::All))}};
}

std::vector<ReplicaFile> replica_files(const std::filesystem::path& folder) {
    static constexpr std::string_view kBefore = "replica-";
    static constexpr std::string_view kAfter = ".db";
    std::vector<ReplicaFile> files;
    std::error_code ignored;
    for (const auto& item : std::filesystem::directory_iterator(folder, ignored)) {
        const std::string name = item.path().filename();
        if (!name.starts_with(kBefore) || !name.ends_with(kAfter)) continue;
        ReplicaFile file{.path = item.path()};
        const char* end = name.data() + name.size() - kAfter.size();
        const auto [stopped, error] =
            std::from_chars(name.data() + kBefore.size(), end, file.number);
        if (error == std::errc{} && stopped == end) files.push_back(std::move(file));
    }
    const auto former = directory_file(folder);
    if (is_former_master(former)) files.push_back({0, former});
    std::ranges::sort(files, {}, &ReplicaFile::number);
    return files;
}

void remove_replica_file(const std::filesystem::path& path) {
    std::error_code ignored;
    for (const char* suffix : {"", "-wal", "-shm"}) {
        std::filesystem::remove(path.string() + suffix, ignored);
    }
}

Result<std::unique_ptr<ReplicaWriter>> ReplicaWriter::open(std::shared_ptr<Replica> replica,
                                                           Scope scope) {
    std::unique_ptr<ReplicaWriter> writer(new ReplicaWriter(std::move(replica), scope));
    const auto files = replica_files(writer->replica_->folder());
    const std::filesystem::path serving =
        writer->replica_->filled() ? writer->replica_->file() : std::filesystem::path();
    // The newest file is either the one that serves or a copy that was interrupted.
    for (const ReplicaFile& file : files | std::views::reverse) {
        const auto attached = writer->attach(file.path, Database::Mode::Existing);
        const bool useful =
            attached && (file.path == serving || writer->position_.stage == Stage::Copying);
        if (!useful) writer->position_ = {};
        // A serving file that cannot be attached is damaged: a new copy is made beside it.
        if (useful || file.path == serving) break;
    }
    for (const ReplicaFile& file : files) {
        const bool attached = writer->database_.is_open() && file.path == writer->file_;
        if (!attached && file.path != serving) remove_replica_file(file.path);
    }
    return writer;
}

Result<> ReplicaWriter::attach(const std::filesystem::path& file, Database::Mode mode) {
    for (Statement* statement : {&put_, &put_newer_, &erase_, &erase_older_, &scan_}) {
        *statement = {};
    }
    history_.release();
    meta_ = {};
    database_.close();
    auto database = open_state_file(file, FileKind::Replica, mode);
    if (!database) return std::unexpected(database.error());
    database_ = std::move(*database);
    auto meta = Meta::of(database_);
    if (!meta) return std::unexpected(meta.error());
    meta_ = std::move(*meta);
    static constexpr std::string_view kUpsert =
        "INSERT INTO entry VALUES(?1, ?2, ?3) ON CONFLICT(key) DO UPDATE SET "
        "value = excluded.value, revision = excluded.revision";
    const std::array<std::pair<Statement*, std::string>, 5> sql{{
        {&put_, std::string(kUpsert)},
        {&put_newer_, std::string(kUpsert) + " WHERE excluded.revision > entry.revision"},
        {&erase_, "DELETE FROM entry WHERE key = ?1"},
        {&erase_older_, "DELETE FROM entry WHERE key = ?1 AND revision <= ?2"},
        {&scan_, "SELECT key, value, revision FROM entry WHERE key >= ?1 ORDER BY key"},
    }};
    for (const auto& [statement, text] : sql) {
        auto prepared = database_.prepare(text);
        if (!prepared) return std::unexpected(prepared.error());
        *statement = std::move(*prepared);
    }
    if (auto prepared = history_.prepare(); !prepared) return prepared;
    file_ = file;
    if (auto loaded = load_position(); !loaded) return loaded;
    const bool may_be_store = keeps_history() && position_.stage == Stage::Following;
    return may_be_store ? history_.load(position_.cursor) : Result<>{};
}

Result<> ReplicaWriter::load_position() {
    position_ = {};
    const auto stage = meta_.text("stage");
    if (!stage) return std::unexpected(stage.error());
    const auto scope = meta_.number("scope");
    if (!scope) return std::unexpected(scope.error());
    const auto cursor = stored_cursor(meta_, "cursor");
    if (!cursor) return std::unexpected(cursor.error());
    const auto settle = stored_cursor(meta_, "settle");
    if (!settle) return std::unexpected(settle.error());
    auto next = meta_.text("next");
    if (!next) return std::unexpected(next.error());
    const auto* known = std::ranges::find(kStages, *stage);
    if (known == kStages.end()) return {};
    position_ = {.stage = static_cast<Stage>(known - kStages.begin()),
                 .cursor = *cursor,
                 .next = std::move(*next),
                 .settle = *settle};
    if (*scope == static_cast<std::uint64_t>(scope_)) return {};
    // Less than before: a new file, so that nothing of the rest stays in free pages. More: what is
    // there can stay.
    const bool whole = position_.stage != Stage::Copying;
    position_ = {};
    if (whole && *scope < static_cast<std::uint64_t>(scope_)) position_.stage = Stage::Repairing;
    return {};
}

Result<> ReplicaWriter::transact(const std::function<Result<>()>& steps) {
    auto done = database_.run("BEGIN IMMEDIATE");
    if (done) done = steps();
    if (done) done = database_.run("COMMIT");
    if (!done) {
        database_.rollback();
        if (done.error().kind == ErrorKind::Corrupt) replica_->report_damage(done.error().detail);
    }
    return done;
}

Result<> ReplicaWriter::store_position(const ReplicaPosition& position) {
    const std::array<std::pair<std::string_view, std::string>, 5> rows{{
        {"stage", std::string(kStages[static_cast<std::size_t>(position.stage)])},
        {"cursor", stored(position.cursor)},
        {"next", position.next},
        {"settle", stored(position.settle)},
        {"scope", std::to_string(static_cast<int>(scope_))},
    }};
    for (const auto& [name, value] : rows) {
        if (auto done = meta_.set(name, std::string_view(value)); !done) return done;
    }
    if (!keeps_history() || position.stage == Stage::Following) return {};
    return history_.interrupt();
}

Result<> ReplicaWriter::begin_copy(const Cursor& start) {
    const auto files = replica_files(replica_->folder());
    std::uint64_t number = files.empty() ? 0 : files.back().number;
    for (const ReplicaFile& file : files) {
        if (!replica_->filled() || file.path != replica_->file()) remove_replica_file(file.path);
    }
    const auto file = replica_->folder() / ("replica-" + std::to_string(++number) + ".db");
    if (auto done = attach(file, Database::Mode::Create); !done) return done;
    const ReplicaPosition next{.stage = Stage::Copying, .cursor = start, .settle = start};
    auto done = transact([&] { return store_position(next); });
    if (done) position_ = next;
    return done;
}

Result<> ReplicaWriter::upsert(const Entry& entry) {
    put_.bind(1, entry.key);
    put_.bind(2, entry.value);
    put_.bind(3, entry.revision);
    return put_.run();
}

Result<> ReplicaWriter::add_page(const std::vector<Entry>& entries, std::string_view next,
                                 const Cursor& seen) {
    ReplicaPosition reached = position_;
    reached.next = next;
    reached.settle = later(position_.settle, seen);
    auto done = transact([&]() -> Result<> {
        for (const Entry& entry : entries) {
            if (auto put = upsert(entry); !put) return put;
        }
        return store_position(reached);
    });
    if (done) position_ = std::move(reached);
    return done;
}

Result<> ReplicaWriter::finish_copy() {
    ReplicaPosition reached = position_;
    reached.stage = Stage::Following;
    reached.next.clear();
    auto done = transact([&]() -> Result<> {
        if (auto set = meta_.set("whole", std::uint64_t{1}); !set) return set;
        return store_position(reached);
    });
    if (done) done = database_.run("PRAGMA wal_checkpoint(TRUNCATE)");
    if (!done) return done;
    position_ = std::move(reached);
    replica_->serve(file_);
    for (const ReplicaFile& file : replica_files(replica_->folder())) {
        if (file.path != file_) remove_replica_file(file.path);
    }
    replica_->applied({.revision = position_.cursor.revision, .everything = true});
    return {};
}

Result<> ReplicaWriter::apply(const std::vector<Change>& changes, const Cursor& cursor) {
    MUSTER_CHECK(position_.stage == Stage::Following);
    const bool is_owed = keeps_history() && history_.is_owed();
    if (changes.empty() && cursor == position_.cursor && !is_owed) return {};
    ReplicaPosition reached = position_;
    reached.cursor = cursor;
    if (cursor.revision >= reached.settle.revision) reached.settle = {};
    const bool with_history = keeps_history() && reached.settle.empty() && history_.has_terms();
    auto done = transact([&]() -> Result<> {
        if (with_history) {
            if (auto noted = history_.note_unseen(changes); !noted) return noted;
        }
        for (const Change& change : changes) {
            Statement& statement = change.value ? put_newer_ : erase_older_;
            statement.bind(1, change.key);
            if (change.value) statement.bind(2, *change.value);
            statement.bind(change.value ? 3 : 2, change.revision);
            if (auto run = statement.run(); !run) return run;
        }
        if (with_history) {
            if (auto written = history_.write(changes, cursor); !written) return written;
        }
        return store_position(reached);
    });
    if (!done) return done;
    position_ = std::move(reached);
    if (with_history) history_.written(changes.size());
    if (changes.empty()) return {};
    std::vector<std::string> keys;
    const bool many = changes.size() > kMaxKeysTold;
    for (const Change& change : changes) {
        if (!many || !change.value) keys.push_back(change.key);
    }
    replica_->applied({.revision = cursor.revision, .keys = keys, .everything = many});
    return {};
}

Result<> ReplicaWriter::begin_repair(const Cursor& start) {
    const ReplicaPosition next{.stage = Stage::Repairing, .cursor = start, .settle = start};
    auto done = transact([&] { return store_position(next); });
    if (done) position_ = next;
    return done;
}

Result<> ReplicaWriter::replace_range(std::string_view from, std::string_view to,
                                      const std::vector<Entry>& entries, const Cursor& seen) {
    std::vector<std::string> changed;
    std::vector<std::string> gone;
    ReplicaPosition reached = position_;
    reached.settle = later(position_.settle, seen);
    auto done = transact([&]() -> Result<> {
        auto replaced = replace_rows(from, to, entries, changed, gone);
        if (!replaced) return replaced;
        return store_position(reached);
    });
    if (!done) return done;
    position_ = std::move(reached);
    if (changed.empty() && gone.empty()) return {};
    const bool many = changed.size() + gone.size() > kMaxKeysTold;
    if (!many) gone.insert(gone.end(), changed.begin(), changed.end());
    replica_->applied({.revision = seen.revision, .keys = gone, .everything = many});
    return {};
}

Result<> ReplicaWriter::replace_rows(std::string_view from, std::string_view to,
                                     const std::vector<Entry>& entries,
                                     std::vector<std::string>& changed,
                                     std::vector<std::string>& gone) {
    auto wanted = entries.begin();
    std::string at(from);
    std::vector<std::string> extra;
    while (true) {
        std::size_t rows = 0;
        std::string last;
        std::vector<const Entry*> different;
        extra.clear();
        scan_.bind(1, at);
        while (rows < kRepairRows) {
            const auto row = scan_.step();
            if (!row) return std::unexpected(row.error());
            if (!*row || (!to.empty() && scan_.text(0) >= to)) break;
            ++rows;
            const std::string_view key = scan_.text(0);
            while (wanted != entries.end() && wanted->key < key) different.push_back(&*wanted++);
            if (wanted == entries.end() || wanted->key != key) {
                extra.emplace_back(key);
            } else if (wanted->revision != scan_.number(2) || wanted->value != scan_.text(1)) {
                different.push_back(&*wanted++);
            } else {
                ++wanted;
            }
            last = key;
        }
        scan_.reset();
        const bool end = rows < kRepairRows;
        while (end && wanted != entries.end()) different.push_back(&*wanted++);
        for (const Entry* entry : different) {
            if (auto done = upsert(*entry); !done) return done;
            changed.push_back(entry->key);
        }
        for (const std::string& key : extra) {
            erase_.bind(1, key);
            if (auto done = erase_.run(); !done) return done;
            gone.push_back(key);
        }
        if (end) return {};
        at = after(last);
    }
}

Result<> ReplicaWriter::repaired_up_to(std::string_view next, const Cursor& seen) {
    ReplicaPosition reached = position_;
    reached.next = next;
    reached.settle = later(position_.settle, seen);
    auto done = transact([&] { return store_position(reached); });
    if (done) position_ = std::move(reached);
    return done;
}

Result<> ReplicaWriter::finish_repair() {
    ReplicaPosition reached = position_;
    reached.stage = Stage::Following;
    reached.next.clear();
    auto done = transact([&] { return store_position(reached); });
    if (done) position_ = std::move(reached);
    return done;
}

Result<bool> ReplicaWriter::holds_entries() {
    scan_.bind(1, std::string_view());
    auto row = scan_.step();
    scan_.reset();
    return row;
}

Result<std::uint64_t> ReplicaWriter::count_entries() {
    auto counted = database_.prepare("SELECT count(*) FROM entry");
    if (!counted) return std::unexpected(counted.error());
    const auto row = counted->step();
    if (row) return counted->number(0);
    if (row.error().kind == ErrorKind::Corrupt) replica_->report_damage(row.error().detail);
    return std::unexpected(row.error());
}

Result<RangeDigest> ReplicaWriter::digest(std::string_view from, std::string_view to) {
    RangeDigest digest;
    scan_.bind(1, from);
    while (true) {
        const auto row = scan_.step();
        if (!row) {
            if (row.error().kind == ErrorKind::Corrupt) {
                replica_->report_damage(row.error().detail);
            }
            return std::unexpected(row.error());
        }
        if (!*row || scan_.text(0) > to) break;
        digest.add(scan_.text(0), scan_.text(1), scan_.number(2));
    }
    scan_.reset();
    return digest;
}

}  // namespace muster::state
