#include "backend/account_authority.h"

#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/password.h"

namespace muster::backend {
namespace {

using nlohmann::json;

constexpr std::string_view kScram1 = "SCRAM-SHA-1";
constexpr std::string_view kScram256 = "SCRAM-SHA-256";

Answer failure(const Error& error) { return Failure{error.detail}; }

/// Names may hold anything a client can send; what is no UTF-8 is replaced, never thrown on.
Found found(const json& value) {
    return {value.dump(-1, ' ', false, json::error_handler_t::replace)};
}

/// SCRAM needs a key of its own kind; whatever verifies PLAIN is the first.
const std::string* fitting(const std::vector<std::string>& keys, std::string_view mechanism) {
    const bool scram = mechanism == kScram1 || mechanism == kScram256;
    for (const auto& key : keys)
        if (!scram || password_scheme(key) == mechanism) return &key;
    return nullptr;
}

Found decoy(const PassdbQuery& query, const AuthoritySettings& settings) {
    return found({{"password", decoy_key(query.mechanism, query.name, settings.decoy_secret)}});
}

}  // namespace

std::string homes_path(std::string_view mail_root, const AccountId& id) {
    std::string path(mail_root);
    ((path += '/') += id.view().substr(0, 2)) += '/';
    return path += id.text;
}

std::string home_path(std::string_view mail_root, const AccountId& id, std::uint64_t epoch) {
    return homes_path(mail_root, id) + '/' + std::to_string(epoch);
}

Answer passdb_answer(const PassdbQuery& query, AccountView& view,
                     const AuthoritySettings& settings) {
    const auto account = view.find(query.resolved.empty() ? query.name : query.resolved);
    if (!account) return failure(account.error());
    if (!*account) return decoy(query, settings);
    const auto keys = view.keys((*account)->id);
    if (!keys) return failure(keys.error());
    const std::string* key = fitting(*keys, query.mechanism);
    if (key == nullptr) return decoy(query, settings);
    json answer{{"password", *key}, {"user", (*account)->address.text}};
    if ((*account)->disabled) answer["nologin"] = "y";
    return found(answer);
}

Result<Standing> standing_of(std::string_view name, AccountView& view,
                             const AuthoritySettings& settings) {
    auto account = view.find(name);
    if (!account) return std::unexpected(account.error());
    if (!*account) return Standing{};
    const auto kind = (*account)->home != settings.server ? Standing::Kind::Elsewhere
                      : (*account)->disabled              ? Standing::Kind::Disabled
                                                          : Standing::Kind::Served;
    return Standing{kind, std::move(**account)};
}

Answer userdb_answer(const Result<Standing>& standing, const AuthoritySettings& settings) {
    if (!standing) return failure(standing.error());
    const AccountFacts& facts = standing->facts;
    switch (standing->kind) {
        case Standing::Kind::Unknown: return NotFound{};
        case Standing::Kind::Elsewhere:
            return found({{"tempfail", "y"}, {"reason", "Account is at another server"}});
        case Standing::Kind::Disabled:
            return found({{"tempfail", "y"}, {"reason", "Account is disabled"}});
        case Standing::Kind::Served: break;
    }
    json answer{{"user", facts.address.text},
                {"home", home_path(settings.mail_root, facts.id, facts.epoch)}};
    if (facts.quota != 0) answer["quota_rule"] = "*:bytes=" + std::to_string(facts.quota);
    return found(answer);
}

Answer token_answer(const TokenQuery& query, AccountView& view, TokenStore& tokens,
                    TokenStore::Clock::time_point now) {
    const auto account = view.find(query.name);
    if (!account) return failure(account.error());
    if (!*account) return NotFound{};
    const auto secret = tokens.take(query.id, query.service, (*account)->id, now);
    if (!secret) return NotFound{};
    return found({{"password", "{PLAIN}" + *secret}});
}

std::string decoy_key(std::string_view mechanism, std::string_view name, std::string_view secret) {
    const bool sha1 = mechanism == kScram1;
    const std::size_t size = sha1 ? 20 : 32;
    const auto part = [&](std::string_view what) {
        return hmac_sha256(secret, std::string(what) + std::string(name));
    };
    std::string key = sha1 ? "{SCRAM-SHA-1}" : "{SCRAM-SHA-256}";
    key += std::to_string(kScramIterations) + ",";
    key += base64_encode(part("salt ").substr(0, 16)) + ",";
    key += base64_encode(part("stored ").substr(0, size)) + ",";
    return key + base64_encode(part("server ").substr(0, size));
}

}  // namespace muster::backend
