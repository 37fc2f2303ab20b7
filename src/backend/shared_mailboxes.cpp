#include "backend/shared_mailboxes.h"

namespace muster::backend {
namespace {

constexpr std::string_view kAnyone = "anyone";

}  // namespace

Result<std::string> SharedMailboxes::canonical(std::string_view name) {
    if (name == kAnyone) return std::string(name);
    const auto account = view_.find(name);
    if (!account) return std::unexpected(account.error());
    if (!*account) return fail(ErrorKind::NotFound, "no such account");
    return (*account)->address.text;
}

Result<std::optional<std::string>> SharedMailboxes::get(std::string_view to,
                                                        std::string_view from) {
    const auto whom = canonical(to);
    if (!whom && whom.error().kind == ErrorKind::NotFound) return std::nullopt;
    if (!whom) return std::unexpected(whom.error());
    return view_.shared(*whom, from);
}

Result<Listing<SharedMailbox>> SharedMailboxes::list(std::string_view to, std::string_view user,
                                                     std::string_view start) {
    auto listing = view_.shares(to, start);
    if (listing)
        std::erase_if(listing->rows, [&](const SharedMailbox& share) {
            return share.from != user && share.to != user && share.to != kAnyone;
        });
    return listing;
}

Task<Result<>> SharedMailboxes::set(std::string user, std::string to, std::string from,
                                    std::optional<std::string> value) {
    if (user != from) co_return fail(ErrorKind::Refused, "only one's own mailboxes can be shared");
    if (!writer_) co_return fail(ErrorKind::Unavailable, "this node cannot write");
    auto whom = canonical(to);
    // A share with somebody who is gone can still be taken back.
    if (!whom && (value || whom.error().kind != ErrorKind::NotFound))
        co_return std::unexpected(whom.error());
    if (!whom) whom = to;
    auto written = co_await writer_(std::move(*whom), std::move(from), std::move(value));
    co_return written;
}

}  // namespace muster::backend
