#include "cluster/directory_writer.h"

#include <random>

#include "base/password.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "cluster/writer_parts.h"

namespace muster::cluster {
namespace {

constexpr int kTries = 16;

std::uint64_t random_number() {
    thread_local std::mt19937_64 engine{std::random_device{}()};
    return engine();
}

}  // namespace

Result<> for_each_entry(state::Store& store, std::string_view prefix,
                        const std::function<Result<bool>(const state::Entry&)>& take) {
    constexpr std::size_t kPage = 2'000;
    const std::string end = state::prefix_end(prefix);
    std::string from(prefix);
    while (true) {
        const auto entries = store.range(from, end, kPage);
        if (!entries) return std::unexpected(entries.error());
        for (const state::Entry& entry : *entries) {
            const auto more = take(entry);
            if (!more) return std::unexpected(more.error());
            if (!*more) return {};
        }
        if (entries->size() < kPage) return {};
        from = state::after(entries->back().key);
    }
}

ServerName weighted_home(const std::vector<Server>& servers, std::uint64_t random) {
    for (const bool only_up : {true, false}) {
        std::uint64_t total = 0;
        const auto takes = [&](const Server& server) {
            return !only_up || server.admin == AdminState::Up;
        };
        for (const Server& server : servers) total += takes(server) ? server.weight : 0;
        if (total == 0) continue;
        std::uint64_t at = random % total;
        for (const Server& server : servers) {
            if (!takes(server)) continue;
            if (at < server.weight) return server.name;
            at -= server.weight;
        }
    }
    return {};
}

Result<> DirectoryWriter::retry(const Attempt& attempt) {
    for (int i = 0; i < kTries; ++i) {
        const auto done = attempt();
        if (!done) return std::unexpected(done.error());
        if (*done) return {};
    }
    return fail(ErrorKind::Conflict, "others keep changing this: try again");
}

Result<bool> DirectoryWriter::commit(const state::Transaction& transaction) {
    const auto done = store_.commit(transaction);
    if (done) return true;
    if (done.error().kind == ErrorKind::Conflict) return false;
    return std::unexpected(done.error());
}

Result<Domain> DirectoryWriter::domain_of_address(std::string_view address, Revision& revision) {
    const std::size_t at = address.rfind('@');
    if (at == address.npos) return fail(ErrorKind::Syntax, "an address needs an @");
    const auto name = parse_domain(address.substr(at + 1));
    if (!name) return std::unexpected(name.error());
    const auto entry = store_.get(domain_key(*name));
    if (!entry) return std::unexpected(entry.error());
    if (!*entry) return fail(ErrorKind::NotFound, "no domain " + name->text);
    revision = (*entry)->revision;
    return decode_domain(name->text, (*entry)->value);
}

Result<AccountAddress> DirectoryWriter::resolve(std::string_view address) {
    Revision revision = 0;
    const auto domain = domain_of_address(address, revision);
    if (!domain) return std::unexpected(domain.error());
    return parse_address(address, domain->case_policy);
}

Result<ServerName> DirectoryWriter::choose_home(const Domain& domain) {
    std::vector<Server> servers;
    for (const ServerName& name : domain.servers) {
        auto found = server(name);
        if (!found) return std::unexpected(found.error());
        if (*found) servers.push_back(std::move(**found));
    }
    ServerName home = weighted_home(servers, random_number());
    if (home.empty()) {
        return fail(ErrorKind::Refused,
                    "no server of " + domain.name.text + " takes new accounts: name a home");
    }
    return home;
}

Result<> DirectoryWriter::check_home(const Domain& domain, const ServerName& home) {
    const auto found = server(home);
    if (!found) return std::unexpected(found.error());
    if (!*found) return fail(ErrorKind::NotFound, "no server " + home.text);
    if (std::ranges::find(domain.servers, home) == domain.servers.end()) {
        return fail(ErrorKind::Refused,
                    "domain " + domain.name.text + " does not list server " + home.text);
    }
    return {};
}

Result<DirectoryWriter::Placement> DirectoryWriter::place(std::string_view address,
                                                          const ServerName& wanted) {
    Placement placement;
    auto domain = domain_of_address(address, placement.domain_revision);
    if (!domain) return std::unexpected(domain.error());
    auto normalised = parse_address(address, domain->case_policy);
    if (!normalised) return std::unexpected(normalised.error());
    placement.address = std::move(*normalised);
    placement.home = wanted;
    if (wanted.empty()) {
        auto chosen = choose_home(*domain);
        if (!chosen) return std::unexpected(chosen.error());
        placement.home = std::move(*chosen);
    } else if (auto ok = check_home(*domain, wanted); !ok) {
        return std::unexpected(ok.error());
    }
    placement.domain = std::move(domain->name);
    return placement;
}

Result<std::optional<DirectoryWriter::Found>> DirectoryWriter::find(const AccountAddress& address) {
    const auto entry = store_.get(account_key(address));
    if (!entry) return std::unexpected(entry.error());
    if (!*entry) return std::nullopt;
    auto account = decode_account(address.text, (*entry)->value);
    if (!account) return std::unexpected(account.error());
    return Found{std::move(*account), (*entry)->revision};
}

Result<DirectoryWriter::Found> DirectoryWriter::must_find(const AccountAddress& address) {
    auto found = find(address);
    if (!found) return std::unexpected(found.error());
    if (!*found) return fail(ErrorKind::NotFound, "no account " + address.text);
    return std::move(**found);
}

/// Neither an account nor an alias stands at the address, now and when the transaction commits.
Result<> DirectoryWriter::check_free(const AccountAddress& address,
                                     state::Transaction& transaction) {
    for (const std::string& key : {account_key(address), alias_key(address)}) {
        const auto entry = store_.get(key);
        if (!entry) return std::unexpected(entry.error());
        if (*entry) {
            const bool alias = key.starts_with(kAliasPrefix);
            return fail(ErrorKind::Conflict,
                        address.text + (alias ? " is an alias already" : " exists already"));
        }
        transaction.expect(key, 0);
    }
    return {};
}

/// Accounts of earlier versions may have no row of keys by which their id is found: all are looked
/// through, but only for an id that was not made here.
Result<> DirectoryWriter::check_id_is_free(const AccountId& id) {
    return for_each_entry(store_, kAccountPrefix, [&](const state::Entry& entry) -> Result<bool> {
        const auto row = decode_account_row(entry.value);
        if (!row || row->id != id.view()) return true;
        return fail(ErrorKind::Conflict, "the account id " + id.text + " is in use");
    });
}

Result<Account> DirectoryWriter::create_account(const NewAccount& wanted) {
    if (!wanted.id.empty()) {
        if (auto free = check_id_is_free(wanted.id); !free) return std::unexpected(free.error());
    }
    PasswordKeys keys;
    keys.keys = wanted.keys;
    if (!wanted.password.empty()) {
        auto key = make_scram_sha256(wanted.password);
        if (!key) return std::unexpected(key.error());
        keys.keys.push_back(std::move(*key));
    }
    Account account;
    account.id = wanted.id.empty() ? new_account_id() : wanted.id;
    account.quota = wanted.quota;
    account.disabled = wanted.disabled;
    keys.id = account.id;
    const auto done = retry([&]() -> Result<bool> {
        auto placement = place(wanted.address, wanted.home);
        if (!placement) return std::unexpected(placement.error());
        account.address = placement->address;
        account.home = placement->home;
        if (auto ok = check_entry(account_key(account.address), encode(account)); !ok) {
            return std::unexpected(ok.error());
        }
        if (auto ok = check_entry(password_key(keys.id), encode(keys)); !ok) {
            return std::unexpected(ok.error());
        }
        state::Transaction transaction;
        if (auto ok = check_free(account.address, transaction); !ok) {
            return std::unexpected(ok.error());
        }
        const auto taken = store_.get(password_key(account.id));
        if (!taken) return std::unexpected(taken.error());
        if (*taken) {
            return fail(ErrorKind::Conflict, "the account id " + account.id.text + " is in use");
        }
        transaction.expect(domain_key(placement->domain), placement->domain_revision)
            .expect(password_key(account.id), 0)
            .put(account_key(account.address), encode(account))
            .put(password_key(account.id), encode(keys));
        return commit(transaction);
    });
    if (!done) return std::unexpected(done.error());
    return account;
}

Result<Account> DirectoryWriter::change_account(const AccountAddress& address,
                                                const AccountChange& change) {
    Account account;
    const auto done = retry([&]() -> Result<bool> {
        auto found = must_find(address);
        if (!found) return std::unexpected(found.error());
        account = std::move(found->account);
        state::Transaction transaction;
        if (change.home) {
            Revision revision = 0;
            const auto domain = domain_of_address(address.text, revision);
            if (!domain) return std::unexpected(domain.error());
            if (auto ok = check_home(*domain, *change.home); !ok) {
                return std::unexpected(ok.error());
            }
            transaction.expect(domain_key(domain->name), revision);
            account.home = *change.home;
        }
        account.disabled = change.disabled.value_or(account.disabled);
        account.quota = change.quota.value_or(account.quota);
        account.epoch = change.epoch.value_or(account.epoch);
        const std::string key = account_key(address);
        if (auto ok = check_entry(key, encode(account)); !ok) return std::unexpected(ok.error());
        return commit(transaction.expect(key, found->revision).put(key, encode(account)));
    });
    if (!done) return std::unexpected(done.error());
    return account;
}

Result<> DirectoryWriter::set_password(const AccountAddress& address, std::string_view password) {
    auto key = make_scram_sha256(password);
    if (!key) return std::unexpected(key.error());
    return change_keys(address, {std::move(*key)});
}

Result<> DirectoryWriter::set_keys(const AccountAddress& address, std::vector<std::string> keys) {
    return change_keys(address, std::move(keys));
}

Result<> DirectoryWriter::change_keys(const AccountAddress& address,
                                      std::vector<std::string> new_keys) {
    return retry([&]() -> Result<bool> {
        const auto found = must_find(address);
        if (!found) return std::unexpected(found.error());
        const std::string key = password_key(found->account.id);
        const auto entry = store_.get(key);
        if (!entry) return std::unexpected(entry.error());
        PasswordKeys keys;
        if (*entry) {
            auto old = decode_password_keys(found->account.id.text, (*entry)->value);
            if (old) keys.unknown = std::move(old->unknown);
        }
        keys.keys = new_keys;
        if (auto ok = check_entry(key, encode(keys)); !ok) return std::unexpected(ok.error());
        return commit(state::Transaction{}
                          .expect(account_key(address), found->revision)
                          .expect(key, *entry ? (*entry)->revision : 0)
                          .put(key, encode(keys)));
    });
}

Result<> DirectoryWriter::delete_account(const AccountAddress& address) {
    return retry([&]() -> Result<bool> {
        const auto found = must_find(address);
        if (!found) return std::unexpected(found.error());
        state::Transaction transaction;
        transaction.expect(account_key(address), found->revision)
            .remove(account_key(address))
            .remove(password_key(found->account.id));
        if (auto ok = redirect(address, nullptr, transaction); !ok) {
            return std::unexpected(ok.error());
        }
        return commit(transaction);
    });
}

Result<Account> DirectoryWriter::rename_account(const AccountAddress& from, std::string_view to,
                                                bool keep_alias) {
    Account account;
    const auto done = retry([&]() -> Result<bool> {
        auto found = must_find(from);
        if (!found) return std::unexpected(found.error());
        account = std::move(found->account);
        auto placement = place(to, account.home);
        if (!placement) return std::unexpected(placement.error());
        if (placement->address == from) return true;
        account.address = placement->address;
        state::Transaction transaction;
        if (auto ok = check_free(account.address, transaction); !ok) {
            return std::unexpected(ok.error());
        }
        transaction.expect(account_key(from), found->revision)
            .expect(domain_key(placement->domain), placement->domain_revision)
            .remove(account_key(from))
            .put(account_key(account.address), encode(account));
        if (auto ok = redirect(from, &account.address, transaction); !ok) {
            return std::unexpected(ok.error());
        }
        if (keep_alias) {
            transaction.expect(alias_key(from), 0)
                .put(alias_key(from), encode(Alias{from, {account.address}, {}}));
        }
        return commit(transaction);
    });
    if (!done) return std::unexpected(done.error());
    return account;
}

Result<Account> DirectoryWriter::account(const AccountAddress& address) {
    auto found = find(address);
    if (!found) return std::unexpected(found.error());
    if (*found) return std::move((*found)->account);
    const auto entry = store_.get(alias_key(address));
    if (!entry) return std::unexpected(entry.error());
    if (*entry) {
        const auto alias = decode_alias(address.text, (*entry)->value);
        if (alias && alias->to.size() == 1) {
            auto target = must_find(alias->to.front());
            if (!target) return std::unexpected(target.error());
            return std::move(target->account);
        }
    }
    return fail(ErrorKind::NotFound, "no account " + address.text);
}

}  // namespace muster::cluster
