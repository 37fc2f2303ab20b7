#include "cluster/account_import.h"

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
        bulk_ = store.bulk({.all_or_nothing = options.all_or_nothing,
                            .existing = options.update_existing ? state::OnExisting::Replace
                                                                : state::OnExisting::Refuse,
                            .progress = [this](std::uint64_t written, std::uint64_t total) {
                                tell(written, total);
                            }});
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
            if (row.is_account) ++(row.exists ? report_.updated : report_.created);
            if (is_hopeless()) continue;
            if (auto added = add(row); !added) return added;
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

    Result<> add(const PlannedRow& row) {
        if (row.is_account) {
            const Account& account = row.account;
            auto added = bulk_->add(account_key(account.address), encode(account));
            if (!added) return added;
            if (row.has_keys) {
                added = bulk_->add(password_key(account.id),
                                   encode(PasswordKeys{account.id, row.keys, {}}));
                if (!added) return added;
            }
        }
        for (const Alias& alias : row.aliases) {
            if (auto added = bulk_->add(alias_key(alias.address), encode(alias)); !added) {
                return added;
            }
        }
        return {};
    }

    Result<> finish() {
        tell(0, 0);
        const auto outcome = bulk_->finish();
        if (!outcome) return std::unexpected(outcome.error());
        for (const std::string& key : outcome->refused_keys) reject(0, key + " exists already");
        report_.written = true;
        return {};
    }

    const ImportOptions& options_;
    ImportPlanner planner_;
    std::unique_ptr<state::BulkLoad> bulk_;
    std::vector<PlannedRow> batch_;
    ImportReport report_;
};

}  // namespace

Result<ImportReport> import_accounts(state::Store& directory, const ByteReader& input,
                                     const ImportOptions& options) {
    const auto rows = open_rows(options.format, input);
    return Import(directory, options).run(*rows);
}

}  // namespace muster::cluster
