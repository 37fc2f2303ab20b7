#pragma once
// What the account authority asks of the directory. An interface, so that its decisions can be
// tested by tables.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"

namespace muster::backend {

struct AccountFacts {
    AccountAddress address;  ///< the account's own, whatever name was asked for
    AccountId id;
    ServerName home;
    bool disabled = false;
    std::uint64_t quota = 0;  ///< bytes; 0: no limit
    std::uint64_t epoch = 0;
};

/// A page of rows; `next` is where the following one begins, empty after the last.
template <typename T>
struct Listing {
    std::vector<T> rows;
    std::string next;
};

struct SharedMailbox {
    std::string to;  ///< an address, or `anyone`
    std::string from;
    std::string value;
};

/// Lives on one thread. Errors: Unavailable (nothing is known of any name), Corrupt, Io; a name
/// that cannot be one is simply not found.
class AccountView {
public:
    AccountView() = default;
    AccountView(const AccountView&) = delete;
    AccountView& operator=(const AccountView&) = delete;
    virtual ~AccountView() = default;

    /// `name` as a client wrote it: an address or an alias in any spelling.
    virtual Result<std::optional<AccountFacts>> find(std::string_view name) = 0;
    virtual Result<std::vector<std::string>> keys(const AccountId& id) = 0;

    /// Accounts in order of their addresses.
    virtual Result<Listing<AccountFacts>> accounts(std::string_view from) = 0;
    virtual Result<std::optional<std::string>> shared(std::string_view to,
                                                      std::string_view from) = 0;
    /// Shares with `to`, or all of them when it is empty.
    virtual Result<Listing<SharedMailbox>> shares(std::string_view to, std::string_view start) = 0;
};

}  // namespace muster::backend
