#include "state/sqlite_bulk.h"

#include <algorithm>
#include <utility>

namespace muster::state {
namespace {

/// Entries of one revision, so that no step of a change stream grows with the load.
constexpr std::uint64_t kRevisionEntries = 1'000;
/// Entries of one SQLite transaction where the load need not be all or nothing.
constexpr std::uint64_t kLotEntries = 50'000;
constexpr std::size_t kMaxRefusals = 10'000;

template <typename Number>
void put_number(std::string& out, Number number) {
    out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

template <typename Number>
Number take_number(std::string_view& from) {
    Number number;
    from.substr(0, sizeof number).copy(reinterpret_cast<char*>(&number), sizeof number);
    from.remove_prefix(sizeof number);
    return number;
}

std::string_view take_text(std::string_view& from, std::size_t size) {
    const std::string_view text = from.substr(0, size);
    from.remove_prefix(size);
    return text;
}

}  // namespace

SqliteBulk::SqliteBulk(BulkTarget target, BulkOptions options)
    : target_(std::move(target)),
      options_(std::move(options)),
      runs_(target_.folder, target_.memory),
      looked_(options_.since) {}

std::string SqliteBulk::pack(std::span<const BulkEntry> group, std::uint64_t tag) {
    std::string packed;
    put_number(packed, tag);
    for (const BulkEntry& entry : group) {
        put_number(packed, static_cast<std::uint32_t>(entry.key.size()));
        put_number(packed, static_cast<std::uint32_t>(entry.value.size()));
        packed += entry.replace ? '\1' : '\0';
        packed.append(entry.key).append(entry.value);
    }
    return packed;
}

SqliteBulk::Group SqliteBulk::unpack(std::string_view packed) {
    Group group{take_number<std::uint64_t>(packed), {}};
    while (!packed.empty()) {
        const auto key = take_number<std::uint32_t>(packed);
        const auto value = take_number<std::uint32_t>(packed);
        const bool replace = take_text(packed, 1) == "\1";
        const std::string_view name = take_text(packed, key);
        group.entries.push_back({name, take_text(packed, value), replace});
    }
    return group;
}

Result<> SqliteBulk::add(std::span<const BulkEntry> group, std::uint64_t tag) {
    for (const BulkEntry& entry : group) {
        if (auto sound = check_key(entry.key); !sound) return sound;
        if (auto sound = check_value(entry.value); !sound) return sound;
    }
    entries_ += group.size();
    if (!options_.all_or_nothing) {
        return group.empty() ? Result<>{} : runs_.add(group.front().key, pack(group, tag));
    }
    for (const BulkEntry& entry : group) {
        if (auto added = runs_.add(entry.key, pack({&entry, 1}, tag)); !added) return added;
    }
    return {};
}

Result<BulkOutcome> SqliteBulk::finish() {
    logged_ = entries_ <= target_.log_limit;
    lock_ = std::unique_lock(target_.mutex);
    target_.writer.large_cache(true);
    auto done = options_.all_or_nothing ? load_whole() : load_in_lots();
    if (!done && open_) target_.writer.rollback();
    target_.writer.large_cache(false);
    target_.writer.checkpoint();
    outcome_.revision = target_.writer.history().head;
    if (outcome_.written > 0) {
        target_.watches.tell({.revision = outcome_.revision, .keys = {}, .everything = true});
    }
    lock_.unlock();
    if (!done) return std::unexpected(done.error());
    tell(entries_);
    return std::move(outcome_);
}

Result<> SqliteBulk::load_whole() {
    if (auto done = begin(); !done) return done;
    auto done = runs_.merge(
        [this](std::string_view, std::string_view packed) { return write_whole(unpack(packed)); });
    if (!done) return done;
    if (outcome_.refused == 0) return commit();
    open_ = false;
    target_.writer.rollback();
    return {};
}

/// After the first refusal nothing is written any more; the rest is only looked at.
Result<> SqliteBulk::write_whole(const Group& group) {
    const EntryView& entry = group.entries.front();
    if (outcome_.refused == 0 && !changed_.contains(entry.key)) {
        const auto placed = place(entry);
        if (!placed) return std::unexpected(placed.error());
        if (!*placed) refuse({group.tag, std::string(entry.key), false});
        if (*placed && in_transaction_ % kLotEntries == 0) tell(in_transaction_);
        return {};
    }
    if (outcome_.refusals.size() >= kMaxRefusals) return {};
    auto found = obstacle(group, {});
    if (!found) return std::unexpected(found.error());
    if (*found) refuse(std::move(**found));
    return {};
}

Result<> SqliteBulk::load_in_lots() {
    auto done = runs_.merge([this](std::string_view, std::string_view packed) -> Result<> {
        lot_.emplace_back(packed);
        lot_entries_ += unpack(packed).entries.size();
        return lot_entries_ < kLotEntries ? Result<>{} : write_lot();
    });
    return done ? write_lot() : done;
}

Result<> SqliteBulk::write_lot() {
    if (lot_.empty()) return {};
    auto done = begin();
    if (done) done = fill_lot();
    if (done) done = commit();
    if (!done) return done;
    lot_.clear();
    lot_entries_ = 0;
    tell(outcome_.written);
    lock_.unlock();  // whoever waits gets it first
    lock_.lock();
    return {};
}

Result<> SqliteBulk::fill_lot() {
    Keys own;
    std::vector<EntryView> entries;
    for (const std::string& packed : lot_) {
        const Group group = unpack(packed);
        auto found = obstacle(group, own);
        if (!found) return std::unexpected(found.error());
        if (*found) {
            refuse(std::move(**found));
            continue;
        }
        for (const EntryView& entry : group.entries) {
            own.insert(entry.key);
            entries.push_back(entry);
        }
    }
    std::ranges::sort(entries, {}, &EntryView::key);
    for (const EntryView& entry : entries) {
        const auto placed = place(entry);
        if (!placed) return std::unexpected(placed.error());
        if (!*placed)
            return fail(ErrorKind::Conflict, "twice in one group", std::string(entry.key));
    }
    return {};
}

Result<std::optional<BulkRefusal>> SqliteBulk::obstacle(const Group& group, const Keys& own) {
    for (const EntryView& entry : group.entries) {
        BulkRefusal refusal{group.tag, std::string(entry.key), changed_.contains(entry.key)};
        if (refusal.changed) return refusal;
        if (entry.replace) continue;
        if (own.contains(entry.key)) return refusal;
        const auto revision = target_.writer.revision_of(entry.key);
        if (!revision) return std::unexpected(revision.error());
        if (*revision != 0) return refusal;
    }
    return std::nullopt;
}

void SqliteBulk::refuse(BulkRefusal refusal) {
    if (refusal.tag != 0 && !refused_tags_.insert(refusal.tag).second) return;
    ++outcome_.refused;
    if (outcome_.refusals.size() < kMaxRefusals) outcome_.refusals.push_back(std::move(refusal));
}

Result<> SqliteBulk::begin() {
    if (auto done = target_.writer.begin(); !done) return done;
    open_ = true;
    in_transaction_ = 0;
    ordinal_ = 0;
    revision_ = target_.writer.history().head;
    return look_around();
}

Result<> SqliteBulk::look_around() {
    if (!looked_ || *looked_ == revision_) return {};
    std::set<std::string, std::less<>> fresh;
    const auto remembered = target_.writer.changed_since(*looked_, fresh);
    if (!remembered) return std::unexpected(remembered.error());
    if (!*remembered) {
        return fail(ErrorKind::Conflict, "too much has changed meanwhile: start it again");
    }
    if (options_.others_changed) {
        if (auto fine = options_.others_changed(fresh); !fine) return fine;
    }
    changed_.merge(fresh);
    looked_ = revision_;
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
    if (looked_) looked_ = revision_;
    outcome_.written += in_transaction_;
    return {};
}

Result<bool> SqliteBulk::place(const EntryView& entry) {
    if (ordinal_ % kRevisionEntries == 0) {
        ++revision_;
        ordinal_ = 0;
    }
    if (entry.replace) {
        auto done = target_.writer.put(entry.key, entry.value, revision_);
        if (!done) return std::unexpected(done.error());
    } else {
        const auto inserted = target_.writer.insert(entry.key, entry.value, revision_);
        if (!inserted || !*inserted) return inserted;
    }
    if (logged_) {
        auto done = target_.writer.log(revision_, ordinal_, entry.key, false);
        if (!done) return std::unexpected(done.error());
    }
    ++ordinal_;
    ++in_transaction_;
    return true;
}

void SqliteBulk::tell(std::uint64_t written) const {
    if (options_.progress) options_.progress(written, entries_);
}

}  // namespace muster::state
