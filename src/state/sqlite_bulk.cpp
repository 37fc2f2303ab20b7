#include "state/sqlite_bulk.h"

#include <utility>

namespace muster::state {
namespace {

/// Entries of one revision, so that no step of a change stream grows with the load.
constexpr std::uint64_t kRevisionEntries = 1'000;
/// Entries of one SQLite transaction where the load need not be all or nothing: other commits
/// get their turn in between.
constexpr std::uint64_t kTransactionEntries = 50'000;
constexpr std::size_t kMaxRefusedKeys = 10'000;

}  // namespace

SqliteBulk::SqliteBulk(BulkTarget target, BulkOptions options)
    : target_(std::move(target)),
      options_(std::move(options)),
      runs_(target_.folder, target_.memory) {}

Result<> SqliteBulk::add(std::string_view key, std::string_view value) {
    if (auto sound = check_key(key); !sound) return sound;
    if (auto sound = check_value(value); !sound) return sound;
    return runs_.add(key, value);
}

Result<BulkOutcome> SqliteBulk::finish() {
    logged_ = runs_.size() <= target_.log_limit;
    lock_ = std::unique_lock(target_.mutex);
    target_.writer.large_cache(true);
    auto done = begin();
    if (done) {
        done = runs_.merge(
            [this](std::string_view key, std::string_view value) { return write(key, value); });
    }
    if (done) done = commit();
    if (!done && open_) target_.writer.rollback();
    target_.writer.large_cache(false);
    target_.writer.checkpoint();
    outcome_.revision = target_.writer.history().head;
    if (done || outcome_.written > 0) {
        target_.watches.tell({.revision = outcome_.revision, .keys = {}, .everything = true});
    }
    lock_.unlock();
    if (!done) return std::unexpected(done.error());
    if (options_.progress) options_.progress(runs_.size(), runs_.size());
    return std::move(outcome_);
}

Result<> SqliteBulk::begin() {
    if (auto done = target_.writer.begin(); !done) return done;
    open_ = true;
    in_transaction_ = 0;
    ordinal_ = 0;
    revision_ = target_.writer.history().head;
    return {};
}

Result<> SqliteBulk::commit() {
    open_ = false;
    if (in_transaction_ == 0) {
        target_.writer.rollback();
        return {};
    }
    if (!logged_) {
        if (auto done = target_.writer.drop_log(revision_); !done) {
            target_.writer.rollback();
            return done;
        }
    }
    if (auto done = target_.writer.commit(revision_); !done) return done;
    outcome_.written += in_transaction_;
    if (options_.progress) options_.progress(outcome_.written + outcome_.refused, runs_.size());
    return {};
}

Result<> SqliteBulk::write(std::string_view key, std::string_view value) {
    if (auto done = write_entry(key, value); !done) return done;
    if (in_transaction_ == 0 || in_transaction_ % kTransactionEntries != 0) return {};
    if (options_.all_or_nothing) {
        if (options_.progress) options_.progress(in_transaction_, runs_.size());
        return {};
    }
    if (auto done = commit(); !done) return done;
    lock_.unlock();
    lock_.lock();
    return begin();
}

Result<> SqliteBulk::write_entry(std::string_view key, std::string_view value) {
    if (ordinal_ % kRevisionEntries == 0) {
        ++revision_;
        ordinal_ = 0;
    }
    const bool repeated = key == last_key_;
    if (options_.existing == OnExisting::Refuse || repeated) {
        const auto inserted = target_.writer.insert(key, value, revision_);
        if (!inserted) return std::unexpected(inserted.error());
        if (!*inserted) return refuse(key);
    } else if (auto done = target_.writer.put(key, value, revision_); !done) {
        return done;
    }
    if (logged_) {
        auto done = target_.writer.log(revision_, ordinal_, key, false);
        if (!done) return done;
    }
    last_key_ = key;
    ++ordinal_;
    ++in_transaction_;
    return {};
}

Result<> SqliteBulk::refuse(std::string_view key) {
    if (options_.all_or_nothing) {
        return fail(ErrorKind::Conflict, "an entry exists already", std::string(key));
    }
    ++outcome_.refused;
    if (outcome_.refused_keys.size() < kMaxRefusedKeys) outcome_.refused_keys.emplace_back(key);
    return {};
}

}  // namespace muster::state
