#pragma once
// Changes to the directory, on the master: each a conditional transaction, tried again when
// somebody else changed the same entry meanwhile. Blocking; thread-safe as far as the store is.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cluster/entries.h"
#include "state/store.h"

namespace muster::cluster {

/// 16 random characters of base32 (80 bits).
AccountId new_account_id();
/// 1–64 characters that are safe in a path: `a-z 0-9 - _`.
Result<AccountId> parse_account_id(std::string_view text);
/// One `{SCHEME}…`: printable ASCII, at most 1,024 bytes, and not the password itself ({PLAIN}).
Result<> check_password_key(std::string_view key);

/// The password in `{PLAIN}…`, `{CLEARTEXT}…` or text without a scheme; empty for a key.
std::optional<std::string_view> plain_password(std::string_view text);

/// A key as it is, or a plain password hashed to SCRAM-SHA-256.
Result<std::string> to_password_key(std::string_view password_or_key);

struct NewAccount {
    std::string address{};            ///< as typed; normalised by the domain's policy
    AccountId id{};                   ///< empty: made
    ServerName home{};                ///< empty: chosen by weight among the domain's servers
    std::string password{};           ///< plain; empty: none
    std::vector<std::string> keys{};  ///< `{SCHEME}…`, kept as they are
    std::uint64_t quota = 0;
    bool disabled = false;
};

/// Fields that are set are changed.
struct AccountChange {
    std::optional<ServerName> home{};  ///< flips the route and moves no mail
    std::optional<bool> disabled{};
    std::optional<std::uint64_t> quota{};
    std::optional<std::uint64_t> epoch{};
};

/// Errors: Syntax (what is wrong with a field), NotFound, Conflict (exists already; still
/// contended after several tries), Refused (something else depends on it), Io.
class DirectoryWriter {
public:
    explicit DirectoryWriter(state::Store& directory) : store_(directory) {}

    /// Which revision of an object a change is based on; with one, a change in between is Conflict.
    using Expected = std::optional<Revision>;

    // Accounts.
    Result<Account> create_account(const NewAccount& wanted);
    Result<Account> change_account(const AccountAddress& address, const AccountChange& change);
    Result<> set_password(const AccountAddress& address, std::string_view password);
    Result<> set_keys(const AccountAddress& address, std::vector<std::string> keys);
    /// With its keys and the aliases that lead to it alone. Aliases are searched for: the cost
    /// grows with the number of all aliases.
    Result<> delete_account(const AccountAddress& address);
    /// Id, keys, home and mail stay. With `keep_alias` the old address goes on working.
    Result<Account> rename_account(const AccountAddress& from, std::string_view to,
                                   bool keep_alias);
    /// Follows an alias.
    Result<Account> account(const AccountAddress& address);

    // Aliases.
    Result<Alias> set_alias(std::string_view address, const std::vector<std::string>& to);
    Result<> delete_alias(const AccountAddress& address);
    Result<std::vector<Alias>> aliases_to(const AccountAddress& address);

    // Objects as a whole: created when absent, else replaced, unknown fields kept unless given.
    Result<> put(const Domain& domain, Expected expected = {});
    Result<> put(const Server& server, Expected expected = {});
    Result<> put(const Node& node, Expected expected = {});
    Result<> put(const Setting& setting, Expected expected = {});
    Result<> put(const Certificate& certificate, Expected expected = {});
    Result<> put(const Credential& credential, Expected expected = {});
    /// NotFound, Refused: its domain is not there, not remote, or has no route.
    Result<> put(const DeliveryCredential& credential, Expected expected = {});
    Result<> put(const Administrator& administrator, Expected expected = {});

    Result<std::optional<Domain>> domain(const DomainName& name);
    Result<std::optional<Server>> server(const ServerName& name);
    Result<std::optional<Node>> node(const NodeName& name);

    /// Refused while it still has accounts or aliases (all accounts are looked through).
    Result<> delete_domain(const DomainName& name);
    /// Refused while a domain lists it or an account lives on it (all accounts are looked through).
    /// Its credential goes with it.
    Result<> delete_server(const ServerName& name);
    /// Refused while a domain belongs to it or a server stands beside it.
    Result<> delete_node(const NodeName& name);
    /// Any other entry, by its key.
    Result<> delete_entry(std::string_view key);

    /// An address in the spelling of its domain; NotFound when the domain is not ours.
    Result<AccountAddress> resolve(std::string_view address);

private:
    /// One try: true when done, false when somebody else was quicker.
    using Attempt = std::function<Result<bool>()>;
    struct Found;      ///< an entry as decoded, and its revision
    struct Placement;  ///< a normalised address, its domain and a home in it

    Result<> retry(const Attempt& attempt);
    Result<bool> commit(const state::Transaction& transaction);
    Result<> put_object(const std::string& key, const std::string& value, Expected expected,
                        state::Transaction transaction = {});
    /// An error for an entry that must not be there; entries of other kinds come, too.
    using Judge = std::function<Result<>(const state::Entry&)>;
    /// Deletes what no entry may refer to any more: looks through `prefixes`, then at what changes
    /// meanwhile, and commits upon exactly the state that was looked at.
    Result<> delete_unused(const std::string& key, std::span<const std::string_view> prefixes,
                           const Judge& judge);
    /// NotFound, or a condition that it stands as it is.
    Result<> must_exist(const std::string& key, state::Transaction& transaction);
    Result<bool> catch_up(state::Cursor& seen, const Judge& judge);
    Result<> change_keys(const AccountAddress& address, std::vector<std::string> keys);

    Result<Domain> domain_of_address(std::string_view address, Revision& revision);
    Result<Placement> place(std::string_view address, const ServerName& wanted);
    Result<ServerName> choose_home(const Domain& domain);
    Result<> check_home(const Domain& domain, const ServerName& home);
    Result<> check_references(const Domain& domain, state::Transaction& transaction);
    Result<std::optional<Found>> find(const AccountAddress& address);
    Result<Found> must_find(const AccountAddress& address);
    Result<> check_id_is_free(const AccountId& id);
    Result<> check_free(const AccountAddress& address, state::Transaction& transaction);
    Result<AccountAddress> alias_target(std::string_view text);
    /// Takes `from` out of every entry that names it, or puts `to` in its place.
    Result<> redirect(const AccountAddress& from, const AccountAddress* to,
                      state::Transaction& transaction);
    Result<> redirect_aliases(const AccountAddress& from, const AccountAddress* to,
                              state::Transaction& transaction);
    Result<> redirect_acls(const AccountAddress& from, const AccountAddress* to,
                           state::Transaction& transaction);

    state::Store& store_;
};

/// Calls `take` for every entry whose key has this prefix, page by page; false ends it.
Result<> for_each_entry(state::Store& store, std::string_view prefix,
                        const std::function<Result<bool>(const state::Entry&)>& take);

/// One of the domain's servers, by weight; those that are up before those that are not. Empty
/// when none takes new accounts. `random` is any number.
ServerName weighted_home(const std::vector<Server>& servers, std::uint64_t random);

}  // namespace muster::cluster
