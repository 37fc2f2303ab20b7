#include "cluster/recipients.h"

#include <algorithm>

#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "cluster/json_fields.h"
#include "cluster/unreadable_entry.h"
#include "wire/ascii.h"

namespace muster::cluster {
namespace {

constexpr std::string_view kPostmaster = "postmaster";

/// Follows one address to its targets.
class RecipientSearch {
public:
    RecipientSearch(Directory& directory, MailRoute& route)
        : directory_(directory), route_(route) {}

    /// False: nobody has the address.
    Result<bool> follow(const Domain& domain, const AccountAddress& address,
                        std::string_view detail, std::size_t depth) {
        auto found = account(domain, address, detail, depth);
        if (found && !*found) found = alias(domain, address, depth);
        if (found && !*found) note_missed(domain.directory);
        return found;
    }

    /// An address as an alias names it.
    Result<bool> follow_text(std::string_view text, std::size_t depth) {
        const std::string_view name = text.substr(text.rfind('@') + 1);
        const Domain* domain = route_.topology->domain(name);
        if (!domain && route_.topology->is_unreadable(name)) return unreadable_domain();
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
        state::ReplicaReader& reader = directory_.reader_of(&domain);
        const auto row = reader.find(key_);
        if (!row) return std::unexpected(row.error());
        if (!*row) return false;
        const auto account = decode_account_row((*row)->value);
        if (!account) return unreadable_account(reader, key_, (*row)->value);
        if (account->disabled && depth == 0) {
            route_.verdict = MailVerdict::Disabled;
            return true;
        }
        std::string whole = address.text;
        whole.insert(local_of(address).size(), detail);
        return add({.address = std::move(whole),
                    .home = mail_home(domain, account->home),
                    .domain = &domain,
                    .waits = account->disabled});
    }

    /// Mail for a network may go to its front ends, whoever's it is.
    ServerName mail_home(const Domain& domain, std::string_view home) const {
        const Network& network = route_.topology->network_of(&domain);
        if (network.mode == SourceMode::Relay && network.hand_to == HandTo::Master) {
            return ServerName(network.suffix);
        }
        ServerName result(home);
        if (!home.empty()) result.text += network.suffix;
        return result;
    }

    void note_missed(std::size_t directory) {
        if (std::ranges::find(route_.missed, directory) == route_.missed.end()) {
            route_.missed.push_back(directory);
        }
    }

    Result<bool> alias(const Domain& domain, const AccountAddress& address, std::size_t depth) {
        key_.assign(kAliasPrefix);
        key_ += address.text;
        state::ReplicaReader& reader = directory_.reader_of(&domain);
        const auto row = reader.find(key_);
        if (!row) return std::unexpected(row.error());
        if (!*row) return false;
        const auto alias = decode_alias(address.text, (*row)->value);
        if (!alias) return unreadable_entry(reader, key_, (*row)->value, alias.error().detail);
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
    Directory& directory_;
    MailRoute& route_;
    std::string key_;
    std::vector<std::string> seen_;
    bool overrun_ = false;
};

/// What a followed network says of its postmaster; empty: nothing.
Result<std::string> postmaster_there(Directory& directory, const Domain& domain) {
    const auto row = directory.reader_of(&domain).find(setting_key(kPostmaster));
    if (!row) return std::unexpected(row.error());
    if (!*row) return std::string();
    const auto setting = decode_setting(kPostmaster, (*row)->value);
    if (!setting) return std::unexpected(setting.error());
    const auto value = parse_value(setting->value);
    return value && value->is_string() ? value->get<std::string>() : std::string();
}

/// Who answers for a domain when nobody has the name; `domain` may be null: for the host itself.
Result<std::string> fallback(Directory& directory, const Topology& topology, const Domain* domain,
                             std::string_view local) {
    if (domain && !domain->catch_all.empty()) return domain->catch_all;
    if (!wire::equal_folded(local, kPostmaster)) return std::string();
    if (domain && domain->directory != 0) return postmaster_there(directory, *domain);
    return topology.setting_text(kPostmaster, {});
}

/// Follows `local` in the domain of `route`, or, where nobody has the name, who answers instead.
Result<> follow(MailRoute& route, Directory& directory, std::string_view local) {
    RecipientSearch search(directory, route);
    Result<bool> found = false;
    if (route.domain) {
        const auto address = make_address(local, route.domain->name, route.domain->case_policy);
        if (!address) return std::unexpected(address.error());
        found = search.follow_with_detail(*route.domain, *address, 0);
    }
    if (found && !*found) {
        const auto instead = fallback(directory, *route.topology, route.domain, local);
        if (!instead) return std::unexpected(instead.error());
        if (!instead->empty()) found = search.follow_text(*instead, 1);
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
    if (!route.domain && route.topology->is_unreadable(name->text)) return unreadable_domain();
    const bool is_ours = route.domain && route.domain->kind != DomainKind::Remote;
    if (!is_ours && !domain.empty()) {
        route.verdict = route.domain ? MailVerdict::Accept : MailVerdict::Foreign;
        route.targets.push_back(
            {.address = std::string(local) + '@' + name->text, .home = {}, .domain = route.domain});
        return route;
    }
    if (!is_ours) route.domain = nullptr;  // the host's own postmaster
    if (auto ok = follow(route, directory, local); !ok) {
        return std::unexpected(ok.error());
    }
    return route;
}

bool knows_all_domains(const Topology& topology) {
    return std::ranges::all_of(topology.parts().networks, [](const Network& network) {
        return network.filled || network.mode != SourceMode::Relay;
    });
}

bool knows_all_addresses(const Directory& directory, const MailRoute& route,
                         std::chrono::milliseconds limit) {
    return directory.heard_within(route.missed, limit);
}

}  // namespace muster::cluster
