#include "cluster/directory.h"

#include <algorithm>

#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "cluster/unreadable_entry.h"

namespace muster::cluster {

namespace {

/// An account's home in memory: that of a followed network bears its name.
ServerName home_of(std::string_view home, const Topology& topology, const Domain* domain) {
    ServerName result(home);
    if (domain && domain->directory != 0 && !home.empty()) {
        result.text += topology.network_of(domain).suffix;
    }
    return result;
}

}  // namespace

Directory::Directory(const TopologyTable& topology) : table_(topology) {
    for (const DirectorySource& source : topology.sources()) readers_.emplace_back(source.replica);
}

bool Directory::heard_within(const std::vector<std::size_t>& directories,
                             std::chrono::milliseconds limit) const {
    const auto is_fresh = [&](std::size_t directory) {
        const auto age = readers_[directory].replica()->age();
        return age && *age < limit;
    };
    return directories.empty() ? is_fresh(0) : std::ranges::all_of(directories, is_fresh);
}

const std::shared_ptr<const Topology>& Directory::topology() {
    const std::uint64_t version = table_.version();
    if (!topology_ || version != seen_version_) {
        // A count of references of our own: workers that count on the shared one would pass its
        // cache line to and fro with every login.
        const auto own = std::make_shared<std::shared_ptr<const Topology>>(table_.current());
        topology_ = std::shared_ptr<const Topology>(own, own->get());
        seen_version_ = version;
    }
    return topology_;
}

Result<Located> Directory::locate(std::string_view login, const LoginContext& context) {
    // A copy that has just become whole is read into the topology a moment later; until then every
    // domain would look like a stranger's.
    if (!reader().replica()->filled() || table_.version() == 0) {
        return fail(ErrorKind::Unavailable, "try again later", "directory-never-filled");
    }
    auto name = parse_login(login);
    if (!name) return std::unexpected(name.error());
    Located located;
    located.topology = topology();
    located.context = context_domain(*located.topology, context);
    located.domain = name->domain ? located.topology->domain(name->domain->text) : located.context;
    const std::string_view wanted = name->domain ? name->domain->text : context.default_domain;
    if (!located.domain && located.topology->is_unreadable(wanted)) return unreadable_domain();
    if (!located.domain) {
        located.address = AccountAddress(name->domain ? name->local + '@' + name->domain->text
                                                      : std::move(name->local));
        return located;
    }
    auto address = make_address(name->local, located.domain->name, located.domain->case_policy);
    if (!address) return std::unexpected(address.error());
    located.address = std::move(*address);
    auto found = read_account(located);
    if (found && !*found) found = follow_alias(located);
    if (!found) return std::unexpected(found.error());
    return located;
}

Result<bool> Directory::read_account(Located& located) {
    key_.assign(kAccountPrefix);
    key_ += located.address.text;
    state::ReplicaReader& reader = reader_of(located.domain);
    auto row = reader.find(key_);
    if (!row) return std::unexpected(row.error());
    if (!*row) return false;
    const auto account = decode_account_row((*row)->value);
    if (!account) return unreadable_account(reader, key_, (*row)->value);
    located.known = true;
    located.id = AccountId(account->id);
    located.home = home_of(account->home, *located.topology, located.domain);
    located.disabled = account->disabled;
    located.quota = account->quota;
    located.epoch = account->epoch;
    return true;
}

/// An alias for one address is another name of that account; one for several is not. An alias
/// may lead to one more alias, no further.
Result<bool> Directory::follow_alias(Located& located) {
    const Located asked = located;
    for (int hop = 0; hop < 2; ++hop) {
        key_.assign(kAliasPrefix);
        key_ += located.address.text;
        state::ReplicaReader& reader = reader_of(located.domain);
        auto row = reader.find(key_);
        if (!row) return std::unexpected(row.error());
        if (!*row) break;
        auto alias = decode_alias(located.address.text, (*row)->value);
        if (!alias) return unreadable_entry(reader, key_, (*row)->value, alias.error().detail);
        if (alias->to.size() != 1) break;
        located.address = std::move(alias->to.front());
        located.domain = located.topology->domain(domain_of(located.address));
        if (!located.domain) {
            if (located.topology->is_unreadable(domain_of(located.address))) {
                return unreadable_domain();
            }
            break;
        }
        auto found = read_account(located);
        if (!found || *found) return found;
    }
    located = asked;
    return false;
}

Result<std::optional<Account>> Directory::account(const AccountAddress& address) {
    Located located;
    located.topology = topology();
    located.address = address;
    located.domain = located.topology->domain(domain_of(address));
    auto found = read_account(located);
    if (found && !*found) found = follow_alias(located);
    if (!found) return std::unexpected(found.error());
    if (!*found) return std::nullopt;
    auto row = reader_of(located.domain).find(account_key(located.address));
    if (!row) return std::unexpected(row.error());
    if (!*row) return std::nullopt;
    auto account = decode_account(located.address.text, (*row)->value);
    if (!account) return std::unexpected(account.error());
    account->home = std::move(located.home);
    return std::move(*account);
}

Result<std::optional<PasswordKeys>> Directory::password_keys(const AccountId& id) {
    auto row = reader().find(password_key(id));
    if (!row) return std::unexpected(row.error());
    if (!*row) return std::nullopt;
    auto keys = decode_password_keys(id.text, (*row)->value);
    if (!keys) return std::unexpected(keys.error());
    return std::move(*keys);
}

Result<std::optional<std::string>> Directory::shared_acl(std::string_view to,
                                                         std::string_view from) {
    auto row = reader().find(shared_acl_key(to, from));
    if (!row) return std::unexpected(row.error());
    if (!*row) return std::nullopt;
    auto value = decode_shared_acl((*row)->value);
    if (!value) return std::unexpected(value.error());
    return std::move(*value);
}

}  // namespace muster::cluster
