#include "state/replica_history.h"

#include <array>
#include <set>
#include <string>
#include <string_view>

#include "state/scope.h"
#include "state/store_writer.h"

namespace muster::state {
namespace {

/// Changes that are remembered for those that follow, and how many more may gather before the
/// oldest go.
constexpr std::uint64_t kLogLimit = 1'000'000;
constexpr std::uint64_t kLogSlack = 10'000;

}  // namespace

void ReplicaHistory::release() {
    for (Statement* statement : {&log_, &value_of_, &unseen_}) *statement = {};
    is_store_ = false;
}

Result<> ReplicaHistory::prepare() {
    const std::array<std::pair<Statement*, std::string_view>, 3> sql{{
        {&log_, "INSERT OR REPLACE INTO change VALUES(?1, ?2, ?3, ?4)"},
        {&value_of_, "SELECT value FROM entry WHERE key = ?1"},
        {&unseen_, "INSERT OR REPLACE INTO unseen VALUES(?1, ?2, ?3)"},
    }};
    for (const auto& [statement, text] : sql) {
        auto prepared = database_.prepare(text);
        if (!prepared) return std::unexpected(prepared.error());
        *statement = std::move(*prepared);
    }
    return {};
}

Result<> ReplicaHistory::load(const Cursor& cursor) {
    auto stored = meta_.history();
    if (!stored) return std::unexpected(stored.error());
    if (stored->incarnation != cursor.incarnation || stored->head != cursor.revision) return {};
    const auto rows = database_.number("SELECT count(*) FROM change");
    if (!rows) return std::unexpected(rows.error());
    log_rows_ = *rows;
    terms_ = terms_stored_ = std::move(stored->terms);
    is_store_ = true;
    return {};
}

Result<> ReplicaHistory::note_unseen(const std::vector<Change>& changes) {
    std::set<std::string_view> known;
    for (std::uint64_t ordinal = 0; ordinal < changes.size(); ++ordinal) {
        const Change& change = changes[ordinal];
        if (!visible(change.key, Scope::Mirror) || !known.insert(change.key).second) continue;
        const auto unseen = unseen_by_mirrors(value_of_, change.key);
        if (!unseen) return std::unexpected(unseen.error());
        if (!*unseen) continue;
        unseen_.bind(1, change.revision);
        unseen_.bind(2, ordinal);
        unseen_.bind(3, change.key);
        if (auto run = unseen_.run(); !run) return run;
    }
    return {};
}

Result<> ReplicaHistory::write(const std::vector<Change>& changes, const Cursor& cursor) {
    auto done = is_store_ ? log(changes) : database_.run("DELETE FROM change; DELETE FROM unseen");
    if (done && !is_store_) done = meta_.set("log_floor", cursor.revision);
    if (done && is_owed()) {
        done = meta_.set("terms", std::string_view(format_terms(terms_)));
        if (done) done = meta_.set("incarnation", std::string_view(cursor.incarnation));
    }
    if (done) done = meta_.set("head", cursor.revision);
    return done;
}

void ReplicaHistory::written(std::size_t changes) {
    log_rows_ = is_store_ ? log_rows_ + changes : 0;
    if (log_rows_ > kLogLimit + kLogSlack) log_rows_ = kLogLimit;
    terms_stored_ = terms_;
    is_store_ = true;
}

Result<> ReplicaHistory::interrupt() {
    is_store_ = false;
    return meta_.set("incarnation", std::string_view());
}

Result<> ReplicaHistory::log(const std::vector<Change>& changes) {
    std::uint64_t ordinal = 0;
    for (const Change& change : changes) {
        log_.bind(1, change.revision);
        log_.bind(2, ordinal++);
        log_.bind(3, change.key);
        log_.bind(4, std::uint64_t{!change.value});
        if (auto run = log_.run(); !run) return run;
    }
    return log_rows_ + changes.size() > kLogLimit + kLogSlack ? trim() : Result<>{};
}

Result<> ReplicaHistory::trim() {
    auto boundary = database_.prepare(
        "SELECT revision FROM change ORDER BY revision DESC, ordinal DESC LIMIT 1 OFFSET ?1");
    if (!boundary) return std::unexpected(boundary.error());
    boundary->bind(1, kLogLimit);
    const auto row = boundary->step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return {};
    const Revision floor = boundary->number(0);
    boundary->reset();
    const std::string old = " WHERE revision <= " + std::to_string(floor);
    auto done = database_.run("DELETE FROM change" + old + "; DELETE FROM unseen" + old);
    if (done) done = meta_.set("log_floor", floor);
    return done;
}

}  // namespace muster::state
