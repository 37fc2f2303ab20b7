#include "state/store_writer.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <random>
#include <utility>

#include "state/scope.h"

namespace muster::state {

std::string make_incarnation(std::string_view former) {
    using std::chrono::milliseconds;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    auto time = static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(now).count());
    std::random_device random;
    std::array<char, 32> text{};
    while (true) {
        std::snprintf(text.data(), text.size(), "%012llx%08x",
                      static_cast<unsigned long long>(time), static_cast<unsigned>(random()));
        if (std::string_view(text.data()) > former) return text.data();
        ++time;  // the clock was set back
    }
}

Result<std::unique_ptr<StoreWriter>> StoreWriter::open(const std::filesystem::path& file,
                                                       std::uint64_t log_limit) {
    std::unique_ptr<StoreWriter> writer(new StoreWriter(log_limit));
    if (auto done = writer->prepare(file); !done) return std::unexpected(done.error());
    if (auto done = writer->load_history(); !done) return std::unexpected(done.error());
    return writer;
}

Result<> StoreWriter::prepare(const std::filesystem::path& file) {
    auto database = open_state_file(file, FileKind::Store, Database::Mode::Create);
    if (!database) return std::unexpected(database.error());
    database_ = std::move(*database);
    auto meta = Meta::of(database_);
    if (!meta) return std::unexpected(meta.error());
    meta_ = std::move(*meta);
    static constexpr std::array<std::pair<Statement StoreWriter::*, std::string_view>, 11> kSql{{
        {&StoreWriter::revision_of_, "SELECT revision FROM entry WHERE key = ?1"},
        {&StoreWriter::put_,
         "INSERT INTO entry VALUES(?1, ?2, ?3) ON CONFLICT(key) DO UPDATE SET "
         "value = excluded.value, revision = excluded.revision"},
        {&StoreWriter::insert_, "INSERT INTO entry VALUES(?1, ?2, ?3) ON CONFLICT(key) DO NOTHING"},
        {&StoreWriter::erase_, "DELETE FROM entry WHERE key = ?1"},
        {&StoreWriter::log_, "INSERT INTO change VALUES(?1, ?2, ?3, ?4)"},
        {&StoreWriter::value_of_, "SELECT value FROM entry WHERE key = ?1"},
        {&StoreWriter::unseen_, "INSERT OR REPLACE INTO unseen VALUES(?1, ?2, ?3)"},
        {&StoreWriter::unseen_trim_, "DELETE FROM unseen WHERE revision <= ?1"},
        {&StoreWriter::log_boundary_,
         "SELECT revision FROM change ORDER BY revision, ordinal LIMIT 1 OFFSET ?1"},
        {&StoreWriter::log_trim_, "DELETE FROM change WHERE revision <= ?1"},
        {&StoreWriter::log_since_, "SELECT key FROM change WHERE revision > ?1"},
    }};
    for (const auto& [statement, sql] : kSql) {
        auto prepared = database_.prepare(sql);
        if (!prepared) return std::unexpected(prepared.error());
        this->*statement = std::move(*prepared);
    }
    return {};
}

Result<> StoreWriter::load_history() {
    auto stored = meta_.history();
    if (!stored) return std::unexpected(stored.error());
    if (stored->incarnation.empty()) {
        const auto entries = database_.number("SELECT EXISTS(SELECT 1 FROM entry)");
        if (!entries) return std::unexpected(entries.error());
        if (*entries != 0) return fail(ErrorKind::Refused, "a replica is no store");
        return set_history({make_incarnation(""), {{1, 0}}, 0});
    }
    const auto rows = database_.number("SELECT count(*) FROM change");
    if (!rows) return std::unexpected(rows.error());
    history_ = std::move(*stored);
    log_rows_ = *rows;
    publish();
    return {};
}

Result<> StoreWriter::set_history(History history, MetaRows rows) {
    if (auto done = begin(); !done) return done;
    rows.emplace_back("incarnation", history.incarnation);
    rows.emplace_back("terms", format_terms(history.terms));
    for (const auto& [name, value] : rows) {
        if (auto done = meta_.set(name, std::string_view(value)); !done) {
            rollback();
            return done;
        }
    }
    if (auto done = commit(history.head); !done) return done;
    history_ = std::move(history);
    publish();
    return {};
}

History StoreWriter::published() const {
    const std::lock_guard lock(published_mutex_);
    return published_;
}

void StoreWriter::publish() {
    const std::lock_guard lock(published_mutex_);
    published_ = history_;
}

Result<> StoreWriter::begin() {
    open_log_rows_ = log_rows_;
    return database_.run("BEGIN IMMEDIATE");
}

Result<> StoreWriter::commit(Revision revision) {
    auto done = meta_.set("head", revision);
    if (done) done = trim();
    if (done) done = database_.run("COMMIT");
    if (!done) {
        rollback();
        return done;
    }
    history_.head = revision;
    log_rows_ = open_log_rows_;
    publish();
    return {};
}

void StoreWriter::rollback() { database_.rollback(); }

Result<bool> StoreWriter::changed_since(Revision since, std::set<std::string, std::less<>>& keys) {
    const auto floor = meta_.number("log_floor");
    if (!floor) return std::unexpected(floor.error());
    if (*floor > since) return false;
    log_since_.bind(1, since);
    for (;;) {
        const auto row = log_since_.step();
        if (!row) return std::unexpected(row.error());
        if (!*row) return true;
        keys.emplace(log_since_.text(0));
    }
}

Result<Revision> StoreWriter::revision_of(std::string_view key) {
    revision_of_.bind(1, key);
    const auto row = revision_of_.step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return Revision{0};
    const Revision revision = revision_of_.number(0);
    revision_of_.reset();
    return revision;
}

Result<> StoreWriter::put(std::string_view key, std::string_view value, Revision revision) {
    put_.bind(1, key);
    put_.bind(2, value);
    put_.bind(3, revision);
    return put_.run();
}

Result<bool> StoreWriter::insert(std::string_view key, std::string_view value, Revision revision) {
    insert_.bind(1, key);
    insert_.bind(2, value);
    insert_.bind(3, revision);
    if (auto done = insert_.run(); !done) return std::unexpected(done.error());
    return database_.changes() == 1;
}

Result<> StoreWriter::erase(std::string_view key) {
    erase_.bind(1, key);
    return erase_.run();
}

Result<bool> StoreWriter::is_unseen(std::string_view key) {
    if (!visible(key, Scope::Mirror)) return false;
    return unseen_by_mirrors(value_of_, key);
}

Result<bool> unseen_by_mirrors(Statement& value_of, std::string_view key) {
    value_of.bind(1, key);
    const auto row = value_of.step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return true;
    const bool is_seen = visible(key, value_of.text(0), Scope::Mirror);
    value_of.reset();
    return !is_seen;
}

Result<> StoreWriter::log(Revision revision, std::uint64_t ordinal, std::string_view key,
                          bool deleted, bool unseen) {
    if (unseen) {
        unseen_.bind(1, revision);
        unseen_.bind(2, ordinal);
        unseen_.bind(3, key);
        if (auto done = unseen_.run(); !done) return done;
    }
    log_.bind(1, revision);
    log_.bind(2, ordinal);
    log_.bind(3, key);
    log_.bind(4, std::uint64_t{deleted});
    ++open_log_rows_;
    return log_.run();
}

Result<> StoreWriter::drop_log(Revision revision) {
    if (open_log_rows_ > 0) {
        if (auto done = database_.run("DELETE FROM change; DELETE FROM unseen"); !done) return done;
        open_log_rows_ = 0;
    }
    return meta_.set("log_floor", revision);
}

Result<> StoreWriter::trim() {
    if (open_log_rows_ <= log_limit_) return {};
    log_boundary_.bind(1, open_log_rows_ - log_limit_ - 1);
    const auto row = log_boundary_.step();
    if (!row) return std::unexpected(row.error());
    MUSTER_CHECK(*row);
    const Revision floor = log_boundary_.number(0);
    log_boundary_.reset();
    log_trim_.bind(1, floor);
    if (auto done = log_trim_.run(); !done) return done;
    open_log_rows_ -= database_.changes();
    unseen_trim_.bind(1, floor);
    if (auto done = unseen_trim_.run(); !done) return done;
    return meta_.set("log_floor", floor);
}

void StoreWriter::large_cache(bool on) {
    (void)database_.run(on ? "PRAGMA cache_size = -131072" : "PRAGMA cache_size = -16384");
}

void StoreWriter::checkpoint() { (void)database_.run("PRAGMA wal_checkpoint(TRUNCATE)"); }

Result<> StoreWriter::copy_to(const std::filesystem::path& target) {
    if (auto done = create_private_file(target); !done) return done;
    auto statement = database_.prepare("VACUUM INTO ?1");
    if (!statement) return std::unexpected(statement.error());
    const std::string path = target.string();
    statement->bind(1, std::string_view(path));
    return statement->run();
}

}  // namespace muster::state
