#include "cluster/import_plan.h"

#include <charconv>

#include "base/password.h"
#include "cluster/directory_writer.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"

namespace muster::cluster {
namespace {

constexpr std::size_t kMaxAliases = 1'000;
constexpr std::size_t kMaxUnknownDomains = 100'000;  ///< remembered; more are looked up each time
constexpr std::uint64_t kMaxNumber = std::uint64_t{1} << 62;

/// Bytes, or with a unit: 10G.
Result<std::uint64_t> parse_size(std::string_view text, std::string_view field) {
    constexpr std::string_view kUnits = "KMGT";
    unsigned shift = 0;
    std::string_view digits = text;
    if (!text.empty()) {
        if (const std::size_t unit = kUnits.find(text.back()); unit != kUnits.npos) {
            shift = static_cast<unsigned>(unit + 1) * 10;
            digits.remove_suffix(1);
        }
    }
    std::uint64_t value = 0;
    const auto parsed = std::from_chars(digits.begin(), digits.end(), value);
    if (parsed.ec != std::errc{} || parsed.ptr != digits.end() || value > (kMaxNumber >> shift)) {
        return fail(ErrorKind::Syntax,
                    std::string(field) + " is no number: " + std::string(text.substr(0, 32)));
    }
    return value << shift;
}

std::uint64_t hash_of(std::string_view text) { return std::hash<std::string_view>{}(text) | 1; }

}  // namespace

bool SeenSet::insert(std::string_view text) {
    if ((used_ + 1) * 4 > slots_.size() * 3) grow();
    if (!place(hash_of(text))) return false;
    ++used_;
    return true;
}

bool SeenSet::contains(std::string_view text) const { return slots_[slot_of(hash_of(text))] != 0; }

std::size_t SeenSet::slot_of(std::uint64_t hash) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = (hash >> 1) & mask;
    while (slots_[at] != 0 && slots_[at] != hash) at = (at + 1) & mask;
    return at;
}

bool SeenSet::place(std::uint64_t hash) { return std::exchange(slots_[slot_of(hash)], hash) == 0; }

void SeenSet::grow() {
    std::vector<std::uint64_t> old(slots_.size() * 2);
    std::swap(old, slots_);
    for (const std::uint64_t hash : old) {
        if (hash != 0) place(hash);
    }
}

ImportPlanner::ImportPlanner(state::Store& store, bool update_existing)
    : store_(store), update_existing_(update_existing) {}

Result<> ImportPlanner::prepare() {
    const auto any = [&](std::string_view prefix) -> Result<bool> {
        const auto first = store_.range(prefix, state::prefix_end(prefix), 1);
        if (!first) return std::unexpected(first.error());
        return !first->empty();
    };
    const auto accounts = any(kAccountPrefix);
    const auto aliases = any(kAliasPrefix);
    const auto keys = any(kPasswordPrefix);
    for (const auto* each : {&accounts, &aliases, &keys}) {
        if (!*each) return std::unexpected(each->error());
    }
    any_accounts_ = *accounts;
    any_aliases_ = *aliases;
    any_keys_ = *keys;
    return {};
}

Result<std::optional<std::string>> ImportPlanner::stored(bool any, const std::string& key) {
    if (!any) return std::nullopt;
    auto entry = store_.get(key);
    if (!entry) return fail(ErrorKind::Io, entry.error().public_text, entry.error().detail);
    if (!*entry) return std::nullopt;
    return std::move((*entry)->value);
}

Result<const ImportPlanner::KnownDomain*> ImportPlanner::domain_of(std::string_view address) {
    const std::size_t at = address.rfind('@');
    if (at == address.npos) return fail(ErrorKind::Syntax, "an address needs an @");
    const std::string typed(address.substr(at + 1));
    if (const auto known = domains_.find(typed); known != domains_.end()) {
        return known->second.get();
    }
    const auto name = parse_domain(typed);
    if (!name) return std::unexpected(name.error());
    DirectoryWriter reader(store_);
    auto found = reader.domain(*name);
    if (!found) return std::unexpected(found.error());
    if (!*found && domains_.size() >= kMaxUnknownDomains) return nullptr;
    auto& slot = domains_[typed];
    if (!*found) return nullptr;
    slot = std::make_unique<KnownDomain>();
    for (const ServerName& server_name : (*found)->servers) {
        auto server = reader.server(server_name);
        if (!server) return std::unexpected(server.error());
        if (*server) slot->servers.push_back(std::move(**server));
    }
    slot->domain = std::move(**found);
    return slot.get();
}

bool ImportPlanner::has_seen(const DomainName& domain) const {
    return std::ranges::any_of(domains_, [&](const auto& known) {
        return known.second != nullptr && known.second->domain.name == domain;
    });
}

Result<AccountAddress> ImportPlanner::address_of(std::string_view text) {
    const auto known = domain_of(text);
    if (!known) return std::unexpected(known.error());
    if (!*known) {
        return fail(ErrorKind::NotFound,
                    "no domain " + std::string(text.substr(text.rfind('@') + 1)));
    }
    return make_address(text.substr(0, text.rfind('@')), (*known)->domain.name,
                        (*known)->domain.case_policy);
}

Result<PlannedRow> ImportPlanner::plan(const ImportRow& row) {
    if (!row.reason.empty()) return fail(ErrorKind::Syntax, row.reason);
    auto planned = row.to.empty() ? plan_account(row) : plan_alias(row);
    if (planned) planned->line = row.line;
    return planned;
}

Result<PlannedRow> ImportPlanner::plan_account(const ImportRow& row) {
    auto address = address_of(row.address);
    if (!address) return std::unexpected(address.error());
    PlannedRow planned;
    if (auto ok = take_existing(*address, planned); !ok) return std::unexpected(ok.error());
    planned.account.address = std::move(*address);
    const auto domain = domain_of(row.address);
    if (!domain) return std::unexpected(domain.error());
    if (auto ok = take_home(row, **domain, planned); !ok) return std::unexpected(ok.error());
    if (auto ok = take_fields(row, planned); !ok) return std::unexpected(ok.error());
    if (auto ok = take_keys(row, planned); !ok) return std::unexpected(ok.error());
    if (!addresses_.insert(planned.account.address.text)) {
        return fail(ErrorKind::Conflict, planned.account.address.text + " stood in an earlier row");
    }
    if (auto ok = take_id(row, planned); !ok) return std::unexpected(ok.error());
    if (auto ok = take_stored_keys(planned); !ok) return std::unexpected(ok.error());
    if (auto ok = take_aliases(row, planned); !ok) return std::unexpected(ok.error());
    return planned;
}

Result<> ImportPlanner::take_existing(const AccountAddress& address, PlannedRow& planned) {
    const auto account = stored(any_accounts_, account_key(address));
    if (!account) return std::unexpected(account.error());
    if (*account) {
        if (!update_existing_) return fail(ErrorKind::Conflict, address.text + " exists already");
        auto existing = decode_account(address.text, **account);
        if (!existing) return fail(ErrorKind::Corrupt, "the stored account is damaged");
        planned.former = *existing;
        planned.account = std::move(*existing);
        return {};
    }
    const auto alias = stored(any_aliases_, alias_key(address));
    if (!alias) return std::unexpected(alias.error());
    if (*alias) return fail(ErrorKind::Conflict, address.text + " is an alias");
    return {};
}

Result<> ImportPlanner::take_home(const ImportRow& row, const KnownDomain& domain,
                                  PlannedRow& planned) {
    if (row.home.empty()) {
        if (!planned.account.home.empty()) return {};
        planned.account.home = weighted_home(domain.servers, random_());
        if (!planned.account.home.empty()) return {};
        return fail(ErrorKind::Refused,
                    "no server of " + domain.domain.name.text + " takes new accounts: name a home");
    }
    if (std::ranges::find(domain.servers, row.home, [](auto& s) { return s.name.text; }) ==
        domain.servers.end()) {
        return fail(ErrorKind::NotFound, "domain " + domain.domain.name.text + " has no server " +
                                             row.home.substr(0, 64));
    }
    planned.account.home = ServerName(row.home);
    return {};
}

Result<> ImportPlanner::take_fields(const ImportRow& row, PlannedRow& planned) {
    if (!row.state.empty() && row.state != "active" && row.state != "disabled") {
        return fail(ErrorKind::Syntax, "state can be active or disabled");
    }
    if (!row.state.empty()) planned.account.disabled = row.state == "disabled";
    if (!row.quota.empty()) {
        const auto quota = parse_size(row.quota, "quota");
        if (!quota) return std::unexpected(quota.error());
        planned.account.quota = *quota;
    }
    if (!row.epoch.empty()) {
        const auto epoch = parse_size(row.epoch, "epoch");
        if (!epoch) return std::unexpected(epoch.error());
        planned.account.epoch = *epoch;
    }
    return {};
}

Result<> ImportPlanner::take_keys(const ImportRow& row, PlannedRow& planned) {
    for (const std::string& key : row.keys) {
        if (auto ok = check_password_key(key); !ok) return ok;
    }
    planned.keys = row.keys;
    planned.has_keys = !row.keys.empty() || !row.password.empty();
    if (row.password.empty()) return {};
    const auto plain = plain_password(row.password);
    if (!plain) {
        planned.keys.push_back(row.password);
        return {};
    }
    if (plain->empty() || plain->size() > kMaxPassword || plain->find('\0') != plain->npos) {
        return fail(ErrorKind::Syntax, "the password is empty, too long or holds a NUL");
    }
    planned.password = *plain;
    return {};
}

Result<> ImportPlanner::take_id(const ImportRow& row, PlannedRow& planned) {
    if (row.id.empty()) {
        if (planned.account.id.empty()) planned.account.id = new_account_id();
        return {};
    }
    auto id = parse_account_id(row.id);
    if (!id) return std::unexpected(id.error());
    if (planned.former && planned.account.id != *id) {
        return fail(ErrorKind::Conflict, "the account has another id, " + planned.account.id.text);
    }
    if (!ids_.insert(id->text)) {
        return fail(ErrorKind::Conflict, "id " + id->text + " stood in an earlier row");
    }
    if (!planned.former) {
        if (auto free = check_id_is_free(*id); !free) return free;
    }
    planned.account.id = std::move(*id);
    return {};
}

Result<> ImportPlanner::check_id_is_free(const AccountId& id) {
    const auto keys = stored(any_keys_, password_key(id));
    if (!keys) return std::unexpected(keys.error());
    if (!stored_ids_ && any_accounts_) {
        stored_ids_.emplace();
        auto read = for_each_entry(store_, kAccountPrefix,
                                   [this](const state::Entry& entry) -> Result<bool> {
                                       if (const auto row = decode_account_row(entry.value))
                                           stored_ids_->insert(row->id);
                                       return true;
                                   });
        if (!read) return read;
    }
    if (*keys || (stored_ids_ && stored_ids_->contains(id.text))) {
        return fail(ErrorKind::Conflict, "id " + id.text + " is in use");
    }
    return {};
}

/// Every new account gets a row of keys, by which its id is known to be in use.
Result<> ImportPlanner::take_stored_keys(PlannedRow& planned) {
    if (!planned.former) {
        planned.has_keys = true;
        return {};
    }
    if (!planned.has_keys) return {};
    const auto row = stored(any_keys_, password_key(planned.account.id));
    if (!row) return std::unexpected(row.error());
    if (!*row) return {};
    planned.replaces_keys = true;
    auto keys = decode_password_keys(planned.account.id.text, **row);
    if (keys) planned.unknown_keys = std::move(keys->unknown);
    return {};
}

Result<> ImportPlanner::take_aliases(const ImportRow& row, PlannedRow& planned) {
    if (row.aliases.size() > kMaxAliases) return fail(ErrorKind::Limit, "more than 1,000 aliases");
    for (const std::string& text : row.aliases) {
        auto address = address_of(text);
        if (!address) {
            return fail(address.error().kind,
                        "alias " + text.substr(0, 64) + ": " + address.error().detail);
        }
        if (*address == planned.account.address) continue;
        Alias alias{std::move(*address), {planned.account.address}, {}};
        if (auto ok = add_alias(std::move(alias), planned); !ok) return ok;
    }
    return {};
}

Result<> ImportPlanner::add_alias(Alias alias, PlannedRow& planned) {
    const auto account = stored(any_accounts_, account_key(alias.address));
    if (!account) return std::unexpected(account.error());
    if (*account)
        return fail(ErrorKind::Conflict, "alias " + alias.address.text + " is an account");
    const auto existing = stored(any_aliases_, alias_key(alias.address));
    if (!existing) return std::unexpected(existing.error());
    const bool replaces = existing->has_value();
    if (replaces) {
        const auto old = decode_alias(alias.address.text, **existing);
        if (old && old->to == alias.to) return {};
        if (!update_existing_) {
            return fail(ErrorKind::Conflict, "alias " + alias.address.text + " exists already");
        }
    }
    if (!addresses_.insert(alias.address.text)) {
        return fail(ErrorKind::Conflict, alias.address.text + " stood in an earlier row");
    }
    planned.aliases.push_back({std::move(alias), replaces});
    return {};
}

Result<PlannedRow> ImportPlanner::plan_alias(const ImportRow& row) {
    PlannedRow planned;
    planned.is_account = false;
    auto address = address_of(row.address);
    if (!address) return std::unexpected(address.error());
    Alias alias{std::move(*address), {}, {}};
    for (const std::string& text : row.to) {
        auto target = address_of(text);
        if (!target && target.error().kind == ErrorKind::NotFound) {
            target = parse_address(text, CasePolicy::Keep);
        }
        if (!target) return std::unexpected(target.error());
        alias.to.push_back(std::move(*target));
    }
    if (auto ok = add_alias(std::move(alias), planned); !ok) return std::unexpected(ok.error());
    return planned;
}

}  // namespace muster::cluster
