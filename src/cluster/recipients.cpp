#include "cluster/recipients.h"

#include <algorithm>

#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "wire/ascii.h"

namespace muster::cluster {
namespace {

constexpr std::string_view kPostmaster = "postmaster";

/// Follows one address to its targets.
class RecipientSearch {
public:
    RecipientSearch(state::ReplicaReader& reader, MailRoute& route)
        : reader_(reader), route_(route) {}

    /// False: nobody has the address.
    Result<bool> follow(const Domain& domain, const AccountAddress& address,
                        std::string_view detail, std::size_t depth) {
        auto found = account(domain, address, detail, depth);
        if (!found || *found) return found;
        return alias(address, depth);
    }

    /// An address as an alias names it.
    Result<bool> follow_text(std::string_view text, std::size_t depth) {
        const std::string_view name = text.substr(text.rfind('@') + 1);
        const Domain* domain = route_.topology->domain(name);
        if (!domain || domain->kind == DomainKind::Remote) {
            return add({.address = std::string(text), .home = {}, .domain = domain});
        }
        const auto address = parse_address(text, domain->case_policy);
        if (!address) return false;
        return follow_with_detail(*domain, *address, depth);
    }

    /// The address itself, or without its detail.
    Result<bool> follow_with_detail(const Domain& domain, const AccountAddress& address,
                                    std::size_t depth) {
        auto found = follow(domain, address, {}, depth);
        if (!found || *found || domain.detail.empty()) return found;
        const std::string_view local = local_of(address);
        const std::size_t cut = local.find(domain.detail, 1);
        if (cut == local.npos) return false;
        std::string plain(local.substr(0, cut));
        plain += '@';
        plain += domain.name.text;
        return follow(domain, AccountAddress(std::move(plain)), local.substr(cut), depth);
    }

private:
    Result<bool> account(const Domain& domain, const AccountAddress& address,
                         std::string_view detail, std::size_t depth) {
        key_.assign(kAccountPrefix);
        key_ += address.text;
        const auto row = reader_.find(key_);
        if (!row) return std::unexpected(row.error());
        if (!*row) return false;
        const auto account = decode_account_row((*row)->value);
        if (!account) {
            reader_.replica()->report_damage(key_);
            return std::unexpected(account.error());
        }
        if (account->disabled && depth == 0) {
            route_.verdict = MailVerdict::Disabled;
            return true;
        }
        std::string whole = address.text;
        whole.insert(local_of(address).size(), detail);
        return add({.address = std::move(whole),
                    .home = ServerName(account->home),
                    .domain = &domain,
                    .waits = account->disabled});
    }

    Result<bool> alias(const AccountAddress& address, std::size_t depth) {
        key_.assign(kAliasPrefix);
        key_ += address.text;
        const auto row = reader_.find(key_);
        if (!row) return std::unexpected(row.error());
        if (!*row) return false;
        const auto alias = decode_alias(address.text, (*row)->value);
        if (!alias) {
            reader_.replica()->report_damage(key_);
            return std::unexpected(alias.error());
        }
        // An address that an alias names and that has led here already is delivered elsewhere.
        if (std::ranges::find(seen_, address.text) != seen_.end()) return true;
        seen_.push_back(address.text);
        if (depth == kMaxAliasDepth) {
            overrun_ = true;
            return true;
        }
        bool any = false;
        for (const AccountAddress& to : alias->to) {
            const auto found = follow_text(to.text, depth + 1);
            if (!found) return found;
            any = any || *found;
        }
        return any;
    }

    Result<bool> add(MailTarget target) {
        if (route_.targets.size() == kMaxAliasTargets) {
            overrun_ = true;
            return true;
        }
        const bool is_new = std::ranges::find(route_.targets, target.address,
                                              &MailTarget::address) == route_.targets.end();
        if (is_new) route_.targets.push_back(std::move(target));
        return true;
    }

public:
    [[nodiscard]] bool overrun() const { return overrun_; }

private:
    state::ReplicaReader& reader_;
    MailRoute& route_;
    std::string key_;
    std::vector<std::string> seen_;
    bool overrun_ = false;
};

/// Who answers for a domain when nobody has the name; `domain` may be null: for the host itself.
std::string fallback(const Topology& topology, const Domain* domain, std::string_view local) {
    if (domain && !domain->catch_all.empty()) return domain->catch_all;
    if (!wire::equal_folded(local, kPostmaster)) return {};
    return topology.setting_text(kPostmaster, {});
}

/// Follows `local` in the domain of `route`, or, where nobody has the name, who answers instead.
Result<> follow(MailRoute& route, state::ReplicaReader& reader, std::string_view local) {
    RecipientSearch search(reader, route);
    Result<bool> found = false;
    if (route.domain) {
        const auto address = make_address(local, route.domain->name, route.domain->case_policy);
        if (!address) return std::unexpected(address.error());
        found = search.follow_with_detail(*route.domain, *address, 0);
    }
    if (found && !*found) {
        const std::string instead = fallback(*route.topology, route.domain, local);
        if (!instead.empty()) found = search.follow_text(instead, 1);
    }
    if (!found) return std::unexpected(found.error());
    if (search.overrun() ||
        (*found && route.targets.empty() && route.verdict != MailVerdict::Disabled)) {
        route.verdict = MailVerdict::AliasLoop;
        route.targets.clear();
    } else if (!route.targets.empty()) {
        route.verdict = MailVerdict::Accept;
    }
    return {};
}

}  // namespace

Result<MailRoute> find_recipient(Directory& directory, std::string_view local,
                                 std::string_view domain, std::string_view own_domain) {
    MailRoute route;
    route.topology = directory.topology();
    // A copy that has just become whole is read into the topology a moment later.
    if (!directory.reader().replica()->filled() || !directory.has_topology()) {
        return fail(ErrorKind::Unavailable, "try again later", "directory-never-filled");
    }
    const auto name = parse_domain(domain.empty() ? own_domain : domain);
    if (!name) return std::unexpected(name.error());
    route.domain = route.topology->domain(name->text);
    const bool is_ours = route.domain && route.domain->kind != DomainKind::Remote;
    if (!is_ours && !domain.empty()) {
        route.verdict = route.domain ? MailVerdict::Accept : MailVerdict::Foreign;
        route.targets.push_back(
            {.address = std::string(local) + '@' + name->text, .home = {}, .domain = route.domain});
        return route;
    }
    if (!is_ours) route.domain = nullptr;  // the host's own postmaster
    if (auto ok = follow(route, directory.reader(), local); !ok) {
        return std::unexpected(ok.error());
    }
    return route;
}

bool knows_all_addresses(Directory& directory, std::chrono::milliseconds limit) {
    const auto age = directory.reader().replica()->age();
    return age && *age < limit;
}

}  // namespace muster::cluster
