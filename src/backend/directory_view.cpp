#include "backend/directory_view.h"

#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"

namespace muster::backend {
namespace {

constexpr std::size_t kPage = 500;  ///< rows: a read of a millisecond or two

std::optional<SharedMailbox> share_from(const state::Entry& entry) {
    const auto share = cluster::split_share(cluster::split_key(entry.key).name);
    auto value = cluster::decode_shared_acl(entry.value);
    if (!share || !value) return std::nullopt;
    return SharedMailbox{std::string(share->to), std::string(share->from), std::move(*value)};
}

}  // namespace

Result<std::optional<AccountFacts>> DirectoryView::find(std::string_view name) {
    auto located = directory_.locate(name, {});
    if (!located) {
        if (located.error().kind == ErrorKind::Syntax) return std::nullopt;
        return std::unexpected(located.error());
    }
    if (!located->known) return std::nullopt;
    return AccountFacts{located->address,  located->id,    located->home,
                        located->disabled, located->quota, located->epoch};
}

Result<std::vector<std::string>> DirectoryView::keys(const AccountId& id) {
    auto found = directory_.password_keys(id);
    if (!found) return std::unexpected(found.error());
    if (!*found) return std::vector<std::string>();
    return std::move((*found)->keys);
}

Result<Listing<AccountFacts>> DirectoryView::accounts(std::string_view from) {
    const std::string start = std::string(cluster::kAccountPrefix) + std::string(from);
    auto page = directory_.reader().range(start, state::prefix_end(cluster::kAccountPrefix), kPage);
    if (!page) return std::unexpected(page.error());
    Listing<AccountFacts> listing;
    for (const auto& entry : *page) {
        const auto address = std::string_view(entry.key).substr(cluster::kAccountPrefix.size());
        const auto row = cluster::decode_account_row(entry.value);
        if (!row) continue;
        listing.rows.push_back({AccountAddress(address), AccountId(row->id), ServerName(row->home),
                                row->disabled, row->quota, row->epoch});
    }
    if (page->size() == kPage)
        listing.next = state::after(page->back().key).substr(cluster::kAccountPrefix.size());
    return listing;
}

Result<std::optional<std::string>> DirectoryView::shared(std::string_view to,
                                                         std::string_view from) {
    return directory_.shared_acl(to, from);
}

Result<Listing<SharedMailbox>> DirectoryView::shares(std::string_view to, std::string_view start) {
    std::string prefix(cluster::kSharedAclPrefix);
    if (!to.empty()) (prefix += to) += '/';
    const std::string from = start.empty() ? prefix : std::string(start);
    auto page = directory_.reader().range(from, state::prefix_end(prefix), kPage);
    if (!page) return std::unexpected(page.error());
    Listing<SharedMailbox> listing;
    for (const auto& entry : *page)
        if (auto share = share_from(entry)) listing.rows.push_back(std::move(*share));
    if (page->size() == kPage) listing.next = state::after(page->back().key);
    return listing;
}

}  // namespace muster::backend
