#pragma once
// Dovecot's dict of shared mailboxes: who shares something with whom. Read from the replica,
// written by the master.

#include <functional>
#include <optional>
#include <string>

#include "backend/account_view.h"
#include "base/task.h"

namespace muster::backend {

/// Has the master write (or without a value delete) a share. Called on the agent's loop.
using ShareWriter = std::function<Task<Result<>>(std::string to, std::string from,
                                                 std::optional<std::string> value)>;

class SharedMailboxes {
public:
    /// `view` must outlive it. Without a writer every change is refused.
    SharedMailboxes(AccountView& view, ShareWriter writer)
        : view_(view), writer_(std::move(writer)) {}

    Result<std::optional<std::string>> get(std::string_view to, std::string_view from);
    /// As AccountView::shares, but of all shares only those that concern `user`: a session may
    /// learn what it shares and what is shared with it.
    Result<Listing<SharedMailbox>> list(std::string_view to, std::string_view user,
                                        std::string_view start);
    /// `user` may share only what is its own; ErrorKind::Refused otherwise, NotFound when `to` is
    /// no account.
    Task<Result<>> set(std::string user, std::string to, std::string from,
                       std::optional<std::string> value);

private:
    /// The account's own address for any of its names.
    Result<std::string> canonical(std::string_view name);

    AccountView& view_;
    ShareWriter writer_;
};

}  // namespace muster::backend
