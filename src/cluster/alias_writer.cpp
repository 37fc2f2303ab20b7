// Aliases, and what else names an account by its address.

#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "cluster/writer_parts.h"

namespace muster::cluster {
namespace {

/// Leaves room for the other writes of a transaction.
constexpr std::size_t kMaxRedirects = state::kMaxTransaction - 100;

Result<> check_room(const state::Transaction& transaction) {
    if (transaction.writes.size() < kMaxRedirects) return {};
    return fail(ErrorKind::Limit, "more aliases and shares than one transaction can change");
}

bool leads_to(const Alias& alias, const AccountAddress& address) {
    return std::ranges::find(alias.to, address) != alias.to.end();
}

/// A cheap look before the row is decoded: addresses stand unescaped in JSON.
bool mentions(std::string_view json, const AccountAddress& address) {
    return json.find(address.view()) != json.npos;
}

}  // namespace

/// A target in one of our domains must exist; others are taken as they are.
Result<AccountAddress> DirectoryWriter::alias_target(std::string_view text) {
    Revision revision = 0;
    const auto domain = domain_of_address(text, revision);
    if (!domain && domain.error().kind == ErrorKind::NotFound) {
        return parse_address(text, CasePolicy::Keep);
    }
    if (!domain) return std::unexpected(domain.error());
    if (domain->kind == DomainKind::Remote) return parse_address(text, CasePolicy::Keep);
    auto address = parse_address(text, domain->case_policy);
    if (!address) return std::unexpected(address.error());
    for (const std::string& key : {account_key(*address), alias_key(*address)}) {
        const auto entry = store_.get(key);
        if (!entry) return std::unexpected(entry.error());
        if (*entry) return address;
    }
    return fail(ErrorKind::NotFound, "no account " + address->text);
}

Result<Alias> DirectoryWriter::set_alias(std::string_view address,
                                         const std::vector<std::string>& to) {
    Alias alias;
    const auto done = retry([&]() -> Result<bool> {
        Revision revision = 0;
        const auto domain = domain_of_address(address, revision);
        if (!domain) return std::unexpected(domain.error());
        auto name = parse_address(address, domain->case_policy);
        if (!name) return std::unexpected(name.error());
        alias = Alias{std::move(*name), {}, {}};
        for (const std::string& text : to) {
            auto target = alias_target(text);
            if (!target) return std::unexpected(target.error());
            if (*target == alias.address) {
                return fail(ErrorKind::Syntax, "an alias cannot lead to itself");
            }
            if (!leads_to(alias, *target)) alias.to.push_back(std::move(*target));
        }
        const auto account = store_.get(account_key(alias.address));
        if (!account) return std::unexpected(account.error());
        if (*account) return fail(ErrorKind::Conflict, alias.address.text + " is an account");
        const std::string key = alias_key(alias.address);
        const auto old = store_.get(key);
        if (!old) return std::unexpected(old.error());
        if (*old) {
            if (auto before = decode_alias(alias.address.text, (*old)->value)) {
                alias.unknown = std::move(before->unknown);
            }
        }
        if (auto ok = check_entry(key, encode(alias)); !ok) return std::unexpected(ok.error());
        return commit(state::Transaction{}
                          .expect(domain_key(domain->name), revision)
                          .expect(account_key(alias.address), 0)
                          .expect(key, *old ? (*old)->revision : 0)
                          .put(key, encode(alias)));
    });
    if (!done) return std::unexpected(done.error());
    return alias;
}

Result<> DirectoryWriter::delete_alias(const AccountAddress& address) {
    return retry([&]() -> Result<bool> {
        const std::string key = alias_key(address);
        const auto entry = store_.get(key);
        if (!entry) return std::unexpected(entry.error());
        if (!*entry) return fail(ErrorKind::NotFound, "no alias " + address.text);
        return commit(state::Transaction{}.expect(key, (*entry)->revision).remove(key));
    });
}

Result<std::vector<Alias>> DirectoryWriter::aliases_to(const AccountAddress& address) {
    std::vector<Alias> result;
    const auto done =
        for_each_entry(store_, kAliasPrefix, [&](const state::Entry& entry) -> Result<bool> {
            if (!mentions(entry.value, address)) return true;
            auto alias = decode_alias(split_key(entry.key).name, entry.value);
            if (alias && leads_to(*alias, address)) result.push_back(std::move(*alias));
            return true;
        });
    if (!done) return std::unexpected(done.error());
    return result;
}

Result<> DirectoryWriter::redirect(const AccountAddress& from, const AccountAddress* to,
                                   state::Transaction& transaction) {
    if (auto done = redirect_aliases(from, to, transaction); !done) return done;
    return redirect_acls(from, to, transaction);
}

Result<> DirectoryWriter::redirect_aliases(const AccountAddress& from, const AccountAddress* to,
                                           state::Transaction& transaction) {
    return for_each_entry(store_, kAliasPrefix, [&](const state::Entry& entry) -> Result<bool> {
        if (!mentions(entry.value, from)) return true;
        auto alias = decode_alias(split_key(entry.key).name, entry.value);
        if (!alias || !leads_to(*alias, from)) return true;
        if (auto room = check_room(transaction); !room) return std::unexpected(room.error());
        std::erase(alias->to, from);
        if (to && !leads_to(*alias, *to)) alias->to.push_back(*to);
        transaction.expect(entry.key, entry.revision);
        if (alias->to.empty()) {
            transaction.remove(entry.key);
        } else {
            transaction.put(entry.key, encode(*alias));
        }
        return true;
    });
}

Result<> DirectoryWriter::redirect_acls(const AccountAddress& from, const AccountAddress* to,
                                        state::Transaction& transaction) {
    return for_each_entry(store_, kSharedAclPrefix, [&](const state::Entry& entry) -> Result<bool> {
        const auto share = split_share(split_key(entry.key).name);
        if (!share) return true;
        const auto [reader, owner] = *share;
        if (reader != from.view() && owner != from.view()) return true;
        if (auto room = check_room(transaction); !room) return std::unexpected(room.error());
        transaction.expect(entry.key, entry.revision).remove(entry.key);
        if (to) {
            transaction.put(shared_acl_key(reader == from.view() ? to->view() : reader,
                                           owner == from.view() ? to->view() : owner),
                            entry.value);
        }
        return true;
    });
}

}  // namespace muster::cluster
