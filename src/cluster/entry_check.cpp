// One rule book for entries of every kind.

#include "cluster/directory_writer.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "cluster/shared_secret.h"

namespace muster::cluster {
namespace {

template <typename T>
Result<> drop_value(const Result<T>& result) {
    if (!result) return std::unexpected(result.error());
    return {};
}

template <auto Decode>
Result<> decodes(std::string_view name, std::string_view json) {
    return drop_value(Decode(name, json));
}

Result<> decodes_acl(std::string_view, std::string_view json) {
    return drop_value(decode_shared_acl(json));
}

/// Who leads or may lead holds the whole state: nothing that another network's node could be.
Result<> decodes_node(std::string_view name, std::string_view json) {
    const auto node = decode_node(name, json);
    if (!node) return std::unexpected(node.error());
    if ((node->master || node->eligible) && node->scope != NodeScope::Backend) {
        return fail(ErrorKind::Syntax, "a node that leads or may lead has the scope backend");
    }
    return {};
}

Result<> is_plain(std::string_view name) { return drop_value(parse_plain_name(name)); }
Result<> is_id(std::string_view name) { return drop_value(parse_account_id(name)); }

Result<> is_domain(std::string_view name) {
    const auto parsed = parse_domain(name);
    if (parsed && parsed->text != name) {
        return fail(ErrorKind::Syntax, "the key must be spelt " + parsed->text);
    }
    return drop_value(parsed);
}

Result<> is_address(std::string_view name) {
    const auto parsed = parse_address(name, CasePolicy::Keep);
    if (parsed && parsed->text != name) {
        return fail(ErrorKind::Syntax, "the key must be spelt " + parsed->text);
    }
    return drop_value(parsed);
}

Result<> is_pair(std::string_view name) {
    if (split_share(name)) return {};
    return fail(ErrorKind::Syntax, "the key must be shared-acl/TO/FROM");
}

Result<> is_dkim_name(std::string_view name) {
    const auto parsed = parse_dkim_name(name);
    if (parsed && *parsed != name) return fail(ErrorKind::Syntax, "must be spelt " + *parsed);
    return drop_value(parsed);
}

struct Rule {
    std::string_view prefix;
    Result<> (*name)(std::string_view);
    Result<> (*value)(std::string_view, std::string_view);
};
constexpr std::array kRules{
    Rule{kDomainPrefix, is_domain, decodes<decode_domain>},
    Rule{kServerPrefix, is_plain, decodes<decode_server>},
    Rule{kAccountPrefix, is_address, decodes<decode_account>},
    Rule{kAliasPrefix, is_address, decodes<decode_alias>},
    Rule{kNodePrefix, is_plain, decodes_node},
    Rule{kSettingPrefix, is_plain, decodes<decode_setting>},
    Rule{kCertificatePrefix, is_plain, decodes<decode_certificate>},
    Rule{kCredentialPrefix, is_plain, decodes<decode_credential>},
    Rule{kDeliveryPrefix, is_domain, decodes<decode_delivery_credential>},
    Rule{kSecretPrefix, is_plain, decodes<decode_shared_secret>},
    Rule{kDkimPrefix, is_dkim_name, decodes<decode_dkim_key>},
    Rule{kPasswordPrefix, is_id, decodes<decode_password_keys>},
    Rule{kSharedAclPrefix, is_pair, decodes_acl},
    Rule{kAdminPrefix, is_plain, decodes<decode_administrator>},
};

}  // namespace

Result<> check_entry(std::string_view key, std::string_view json) {
    const KeyParts parts = split_key(key);
    for (const Rule& rule : kRules) {
        if (rule.prefix != parts.prefix) continue;
        if (auto ok = rule.name(parts.name); !ok) return ok;
        return rule.value(parts.name, json);
    }
    return fail(ErrorKind::Syntax, "no kind of entry that this version knows");
}

}  // namespace muster::cluster
