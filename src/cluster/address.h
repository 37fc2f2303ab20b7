#pragma once
// Account addresses, domains and login names: from what a person typed to the one spelling under
// which the state knows them. Pure; every function bounds its input.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/ids.h"

namespace muster::cluster {

inline constexpr std::size_t kMaxLocalPart = 64;  ///< bytes of UTF-8 (RFC 5321, 4.5.3.1.1)
inline constexpr std::size_t kMaxDomain = 255;    ///< bytes of the A-label form
inline constexpr std::size_t kMaxAddress = kMaxLocalPart + 1 + kMaxDomain;

/// Whether `Kate@…` and `kate@…` are one account. A property of the domain.
enum class CasePolicy : std::uint8_t { Fold, Keep };

/// A host or domain name in lower-case A-labels (RFC 5890; U-labels are converted as IDNA 2008
/// does). Syntax error for what cannot be one: empty labels, more than 63 bytes a label …
Result<DomainName> parse_domain(std::string_view text);

/// A local part in the spelling of the state: an RFC 5321 dot-string, UTF-8 allowed (RFC 6531)
/// and composed (NFC), folded to lower case unless the domain keeps case. Quoted strings are
/// refused, and so is the slash: keys and paths are made of addresses.
Result<std::string> normalise_local(std::string_view local, CasePolicy policy);

/// `local@domain`, both normalised.
Result<AccountAddress> make_address(std::string_view local, const DomainName& domain,
                                    CasePolicy policy);
Result<AccountAddress> parse_address(std::string_view text, CasePolicy policy);

/// The parts of a normalised address; views into it.
std::string_view local_of(const AccountAddress& address);
std::string_view domain_of(const AccountAddress& address);

/// What a client gave as its name: the domain is empty when it gave none. The local part is
/// checked but not yet folded, since only the domain's policy says how.
struct LoginName {
    std::string local;
    std::optional<DomainName> domain;
};
Result<LoginName> parse_login(std::string_view text);

/// Names of servers, nodes and settings: 1–63 of `a-z 0-9 . _ -`, a letter or digit first.
Result<std::string> parse_plain_name(std::string_view text);

}  // namespace muster::cluster
