#pragma once
// What one row of an import means for the state: entries to write, or the reason for refusing it.

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "cluster/entries.h"
#include "cluster/import_rows.h"
#include "state/store.h"

namespace muster::cluster {

/// A set of texts that keeps 8 bytes of each. Wrongly "seen" once in 10^5 sets of ten million.
class SeenSet {
public:
    SeenSet() : slots_(1024) {}
    /// False when it was there already.
    bool insert(std::string_view text);
    [[nodiscard]] bool contains(std::string_view text) const;

private:
    void grow();
    bool place(std::uint64_t hash);
    [[nodiscard]] std::size_t slot_of(std::uint64_t hash) const;  ///< where it is or belongs

    std::vector<std::uint64_t> slots_;  ///< 0: free
    std::size_t used_ = 0;
};

struct PlannedAlias {
    Alias alias;
    bool replaces = false;
};

struct PlannedRow {
    std::uint64_t line = 0;
    bool is_account = true;
    Account account;
    std::vector<std::string> keys;
    std::string password;           ///< plain, to be hashed into `keys`
    bool has_keys = false;          ///< its row of keys is to be written, be it an empty one
    bool replaces_keys = false;     ///< there is such a row
    UnknownFields unknown_keys;     ///< of that row
    std::optional<Account> former;  ///< as it stood, if it exists
    std::vector<PlannedAlias> aliases;
};

/// Judges rows one after the other; remembers what earlier rows have taken.
class ImportPlanner {
public:
    ImportPlanner(state::Store& store, bool update_existing);

    /// Whether anything stands that rows could collide with; once, before the first row.
    Result<> prepare();
    /// Errors of kind Io end the import; all others are the reason for refusing the row.
    Result<PlannedRow> plan(const ImportRow& row);
    /// Whether a row was of that domain.
    [[nodiscard]] bool has_seen(const DomainName& domain) const;

private:
    struct KnownDomain {
        Domain domain;
        std::vector<Server> servers;
    };

    Result<const KnownDomain*> domain_of(std::string_view address);
    Result<AccountAddress> address_of(std::string_view text);
    Result<PlannedRow> plan_account(const ImportRow& row);
    Result<PlannedRow> plan_alias(const ImportRow& row);
    Result<> take_existing(const AccountAddress& address, PlannedRow& planned);
    Result<> take_id(const ImportRow& row, PlannedRow& planned);
    Result<> check_id_is_free(const AccountId& id);
    Result<> take_stored_keys(PlannedRow& planned);
    Result<> take_home(const ImportRow& row, const KnownDomain& domain, PlannedRow& planned);
    static Result<> take_fields(const ImportRow& row, PlannedRow& planned);
    static Result<> take_keys(const ImportRow& row, PlannedRow& planned);
    Result<> take_aliases(const ImportRow& row, PlannedRow& planned);
    Result<> add_alias(Alias alias, PlannedRow& planned);
    Result<std::optional<std::string>> stored(bool any, const std::string& key);

    state::Store& store_;
    const bool update_existing_;
    bool any_accounts_ = true;
    bool any_aliases_ = true;
    bool any_keys_ = true;
    std::unordered_map<std::string, std::unique_ptr<KnownDomain>> domains_;  ///< null: not ours
    SeenSet addresses_;
    SeenSet ids_;
    /// Of all accounts that stand: some from earlier versions have no row of keys to be found by.
    std::optional<SeenSet> stored_ids_;
    std::mt19937_64 random_{std::random_device{}()};
};

}  // namespace muster::cluster
