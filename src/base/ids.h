#pragma once
// Names and ids as types, so that a server's name is never passed where an address is wanted.

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace muster {

/// A string with a meaning. `Tag` only tells the kinds apart; parsing and bounds are the business
/// of whoever makes one from outside input.
template <typename Tag>
struct Name {
    std::string text;

    Name() = default;
    explicit Name(std::string value) : text(std::move(value)) {}
    explicit Name(std::string_view value) : text(value) {}
    explicit Name(const char* value) : text(value) {}

    [[nodiscard]] bool empty() const { return text.empty(); }
    [[nodiscard]] std::string_view view() const { return text; }
    friend bool operator==(const Name&, const Name&) = default;
    friend auto operator<=>(const Name&, const Name&) = default;
};

using AccountAddress = Name<struct AccountAddressTag>;  ///< `local@domain`, normalised
using AccountId = Name<struct AccountIdTag>;            ///< immutable, 16 characters of base32
using DomainName = Name<struct DomainNameTag>;          ///< lower case, A-labels
using ServerName = Name<struct ServerNameTag>;
using NodeName = Name<struct NodeNameTag>;
using SessionId = Name<struct SessionIdTag>;  ///< at most 64 characters (Dovecot's limit)

/// Position of a change in one store's history; grows by one a transaction, never goes back.
using Revision = std::uint64_t;

}  // namespace muster

template <typename Tag>
struct std::hash<muster::Name<Tag>> {
    std::size_t operator()(const muster::Name<Tag>& name) const noexcept {
        return std::hash<std::string>{}(name.text);
    }
};
