#include "cluster/entry_keys.h"

#include <array>

namespace muster::cluster {
namespace {

std::string join(std::string_view prefix, std::string_view name) {
    std::string key;
    key.reserve(prefix.size() + name.size());
    key += prefix;
    key += name;
    return key;
}

constexpr std::array kPrefixes{
    kDomainPrefix,  kServerPrefix,      kAccountPrefix,    kAliasPrefix,    kNodePrefix,
    kSettingPrefix, kCertificatePrefix, kCredentialPrefix, kPasswordPrefix, kSharedAclPrefix,
    kAdminPrefix,   kSecretPrefix,      kDkimPrefix,       kDeliveryPrefix};

}  // namespace

std::string domain_key(const DomainName& name) { return join(kDomainPrefix, name.text); }
std::string server_key(const ServerName& name) { return join(kServerPrefix, name.text); }
std::string account_key(const AccountAddress& address) {
    return join(kAccountPrefix, address.text);
}
std::string alias_key(const AccountAddress& address) { return join(kAliasPrefix, address.text); }
std::string node_key(const NodeName& name) { return join(kNodePrefix, name.text); }
std::string setting_key(std::string_view name) { return join(kSettingPrefix, name); }
std::string certificate_key(std::string_view name) { return join(kCertificatePrefix, name); }
std::string credential_key(const ServerName& server) {
    return join(kCredentialPrefix, server.text);
}
std::string delivery_key(const DomainName& domain) { return join(kDeliveryPrefix, domain.text); }
std::string password_key(const AccountId& id) { return join(kPasswordPrefix, id.text); }
std::string shared_acl_key(std::string_view to, std::string_view from) {
    return join(join(kSharedAclPrefix, to) + '/', from);
}
std::string admin_key(std::string_view name) { return join(kAdminPrefix, name); }

KeyParts split_key(std::string_view key) {
    for (const std::string_view prefix : kPrefixes) {
        if (key.starts_with(prefix)) return {prefix, key.substr(prefix.size())};
    }
    return {{}, key};
}

std::optional<ShareParts> split_share(std::string_view name) {
    constexpr std::string_view kAnyone = "anyone/";
    const std::size_t at = name.find('@');
    std::size_t slash = at == name.npos ? name.npos : name.find('/', at);
    if (slash == name.npos && name.starts_with(kAnyone)) slash = kAnyone.size() - 1;
    if (slash == name.npos || slash + 1 == name.size()) return std::nullopt;
    return ShareParts{name.substr(0, slash), name.substr(slash + 1)};
}

}  // namespace muster::cluster
