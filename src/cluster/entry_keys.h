#pragma once
// Keys of the entries: KIND/NAME. Names are normalised before, so a key is never escaped.

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace muster::cluster {

inline constexpr std::string_view kDomainPrefix = "domain/";
inline constexpr std::string_view kServerPrefix = "server/";
inline constexpr std::string_view kAccountPrefix = "account/";
inline constexpr std::string_view kAliasPrefix = "alias/";
inline constexpr std::string_view kNodePrefix = "node/";
inline constexpr std::string_view kSettingPrefix = "setting/";
inline constexpr std::string_view kCertificatePrefix = "certificate/";
inline constexpr std::string_view kCredentialPrefix = "credential/";
inline constexpr std::string_view kDeliveryPrefix = "delivery/";
inline constexpr std::string_view kSecretPrefix = "secret/";
inline constexpr std::string_view kDkimPrefix = "dkim/";
inline constexpr std::string_view kPasswordPrefix = "key/";
inline constexpr std::string_view kSharedAclPrefix = "shared-acl/";
inline constexpr std::string_view kAdminPrefix = "admin/";

std::string domain_key(const DomainName& name);
std::string server_key(const ServerName& name);
std::string account_key(const AccountAddress& address);
std::string alias_key(const AccountAddress& address);
std::string node_key(const NodeName& name);
std::string setting_key(std::string_view name);
std::string certificate_key(std::string_view name);
std::string credential_key(const ServerName& server);
std::string delivery_key(const DomainName& domain);
std::string password_key(const AccountId& id);
std::string shared_acl_key(std::string_view to, std::string_view from);
std::string admin_key(std::string_view name);

/// The accounts of one domain are no range of keys (the address starts with the local part), so
/// listings by domain filter.
struct KeyParts {
    std::string_view prefix;  ///< with its slash; empty when the key is of no known kind
    std::string_view name;
};
KeyParts split_key(std::string_view key);

/// `TO/FROM` of a share: TO is an address, which may hold slashes before its `@` and none behind
/// it, or `anyone`. The one place that takes such a name apart. Empty: it is none.
struct ShareParts {
    std::string_view to;
    std::string_view from;
};
std::optional<ShareParts> split_share(std::string_view name);

}  // namespace muster::cluster
