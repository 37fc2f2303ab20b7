#include "cluster/account_import.h"

#include <set>
#include <thread>

#include "base/password.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "cluster/import_plan.h"

namespace muster::cluster {
namespace {

constexpr std::size_t kBatch = 2'000;  ///< rows whose passwords are hashed together
constexpr std::uint64_t kProgressRows = 10'000;

/// One run of an import, from the first row to the last entry.
class Import {
public:
    Import(state::Store& store, const ImportOptions& options)
        : options_(options), planner_(store, options.update_existing) {
        if (options.dry_run) return;
        bulk_ =
            store.bulk({.all_or_nothing = options.all_or_nothing,
                        .since = store.head().revision,
                        .others_changed = [this](auto& changed) { return others_changed(changed); },
                        .progress = [this](std::uint64_t written,
                                           std::uint64_t total) { tell(written, total); }});
    }

    Result<ImportReport> run(ImportRows& rows) {
        if (auto ready = planner_.prepare(); !ready) return std::unexpected(ready.error());
        ImportRow row;
        while (true) {
            const auto more = rows.next(row);
            if (!more) return std::unexpected(more.error());
            if (!*more) break;
            if (auto taken = take(row); !taken) return std::unexpected(taken.error());
        }
        if (auto done = write_batch(); !done) return std::unexpected(done.error());
        if (!is_hopeless()) {
            if (auto done = finish(); !done) return std::unexpected(done.error());
        }
        return std::move(report_);
    }

private:
    [[nodiscard]] bool is_hopeless() const {
        return options_.dry_run || (options_.all_or_nothing && report_.rejected > 0);
    }

    Result<> take(const ImportRow& row) {
        ++report_.rows;
        auto planned = planner_.plan(row);
        if (!planned && planned.error().kind == ErrorKind::Io) {
            return std::unexpected(planned.error());
        }
        if (planned) {
            batch_.push_back(std::move(*planned));
        } else {
            reject(row.line, planned.error().detail);
        }
        if (report_.rows % kProgressRows == 0) tell(0, 0);
        return batch_.size() < kBatch ? Result<>{} : write_batch();
    }

    void reject(std::uint64_t line, std::string reason) {
        ++report_.rejected;
        if (report_.rejected_rows.size() < kMaxRejectedListed) {
            report_.rejected_rows.push_back({line, std::move(reason)});
        }
    }

    void tell(std::uint64_t written, std::uint64_t total) const {
        if (options_.progress) {
            options_.progress({report_.rows, report_.rejected, written, total});
        }
    }

    Result<> write_batch() {
        if (!is_hopeless()) hash_batch();
        for (const PlannedRow& row : batch_) {
            if (row.is_account) ++(row.former ? report_.updated : report_.created);
            if (is_hopeless()) continue;
            if (auto added = add(row); !added) return added;
            if (row.former && ends_sessions(*row.former, row.account)) {
                ending_.emplace_back(tag_of(row), *row.former);
            }
        }
        batch_.clear();
        return {};
    }

    /// The only expensive step: shared by all threads, each takes every n-th row.
    void hash_batch() {
        std::vector<PlannedRow*> plain;
        for (PlannedRow& row : batch_) {
            if (!row.password.empty()) plain.push_back(&row);
        }
        if (plain.empty()) return;
        const std::size_t wanted =
            options_.threads != 0 ? options_.threads : std::thread::hardware_concurrency();
        const std::size_t threads = std::clamp<std::size_t>(wanted, 1, plain.size());
        const auto work = [&plain, threads](std::size_t first) {
            for (std::size_t i = first; i < plain.size(); i += threads) hash(*plain[i]);
        };
        std::vector<std::jthread> helpers;
        for (std::size_t i = 1; i < threads; ++i) helpers.emplace_back(work, i);
        work(0);
    }

    static void hash(PlannedRow& row) {
        if (auto key = make_scram_sha256(row.password)) row.keys.push_back(std::move(*key));
    }

    /// Whoever has the account open may not have it open any more, or not there.
    static bool ends_sessions(const Account& before, const Account& after) {
        return before.home != after.home || (!before.disabled && after.disabled);
    }

    /// The line, and what the row counts as, for when the store refuses it.
    enum class RowKind : std::uint8_t { Alias, Created, Updated };
    static std::uint64_t tag_of(const PlannedRow& row) {
        const auto kind = !row.is_account ? RowKind::Alias
                          : row.former    ? RowKind::Updated
                                          : RowKind::Created;
        return row.line * 4 + static_cast<std::uint64_t>(kind);
    }

    Result<> add(const PlannedRow& row) {
        std::vector<state::BulkEntry> group;
        if (row.is_account) {
            const Account& account = row.account;
            group.push_back(
                {account_key(account.address), encode(account), row.former.has_value()});
            if (row.has_keys) {
                group.push_back({password_key(account.id),
                                 encode(PasswordKeys{account.id, row.keys, row.unknown_keys}),
                                 row.replaces_keys});
            }
        }
        for (const auto& [alias, replaces] : row.aliases) {
            group.push_back({alias_key(alias.address), encode(alias), replaces});
        }
        return bulk_->add(group, tag_of(row));
    }

    /// An address is taken by an account and by an alias alike; nothing may be written into a
    /// domain that has lost a server or is gone.
    Result<> others_changed(std::set<std::string, std::less<>>& changed) const {
        std::vector<std::string> taken;
        for (const std::string& key : changed) {
            const auto [prefix, name] = split_key(key);
            if (prefix == kAccountPrefix) taken.push_back(alias_key(AccountAddress(name)));
            if (prefix == kAliasPrefix) taken.push_back(account_key(AccountAddress(name)));
            if (prefix != kDomainPrefix || !planner_.has_seen(DomainName(name))) continue;
            return fail(ErrorKind::Conflict, "somebody has changed domain " + std::string(name) +
                                                 " meanwhile: start the import again");
        }
        changed.insert(taken.begin(), taken.end());
        return {};
    }

    Result<> finish() {
        tell(0, 0);
        const auto outcome = bulk_->finish();
        if (!outcome) return std::unexpected(outcome.error());
        std::set<std::uint64_t> refused;
        for (const state::BulkRefusal& refusal : outcome->refusals) {
            take_back(refusal);
            refused.insert(refusal.tag);
        }
        report_.rejected += outcome->refused - outcome->refusals.size();
        report_.written = outcome->refused == 0 || !options_.all_or_nothing;
        if (!report_.written) return {};
        for (auto& [tag, account] : ending_) {
            if (!refused.contains(tag)) report_.to_end.push_back(std::move(account));
        }
        return {};
    }

    void take_back(const state::BulkRefusal& refusal) {
        const auto kind = static_cast<RowKind>(refusal.tag % 4);
        if (kind == RowKind::Created) --report_.created;
        if (kind == RowKind::Updated) --report_.updated;
        const std::string name(split_key(refusal.key).name);
        reject(refusal.tag / 4, name + (refusal.changed ? " was changed since the import began"
                                                        : " exists already"));
    }

    const ImportOptions& options_;
    ImportPlanner planner_;
    std::unique_ptr<state::BulkLoad> bulk_;
    std::vector<PlannedRow> batch_;
    std::vector<std::pair<std::uint64_t, Account>> ending_;  ///< with the tags of their rows
    ImportReport report_;
};

}  // namespace

Result<ImportReport> import_accounts(state::Store& directory, const ByteReader& input,
                                     const ImportOptions& options) {
    const auto rows = open_rows(options.format, input);
    return Import(directory, options).run(*rows);
}

}  // namespace muster::cluster
