#include "admin/sealed_secrets.h"

#include "admin/json_fields.h"
#include "admin/state_entries.h"
#include "base/base64.h"
#include "cluster/credential_seal.h"
#include "cluster/entry_keys.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kShortestKey = 16;
constexpr std::size_t kLargestSealedKey = 64 * 1024;

Result<> seal_key(json& certificate, const json& before, const SealSecret& secret) {
    const std::string given = text(certificate, "key");
    if (given.empty()) return {};
    if (!given.contains("-----BEGIN")) {
        const auto sealed = base64_decode(given, kLargestSealedKey);
        if (!sealed || !unseal(*sealed, secret)) {
            return fail(ErrorKind::Refused, "the key is neither PEM nor sealed by this cluster");
        }
        return {};
    }
    const std::string kept = text(before, "key");
    const auto bytes = base64_decode(kept, kLargestSealedKey);
    const bool is_kept = !kept.empty() && bytes && unseal(*bytes, secret).value_or("") == given;
    certificate["key"] = is_kept ? kept : base64_encode(seal(given, secret));
    return {};
}

/// `object[field]`, when it is text: sealed by this cluster already, or sealed now.
Result<> seal_text(json& object, const char* field, const json& before, const SealSecret& secret) {
    const std::string given = text(object, field);
    if (given.empty()) return {};
    if (cluster::is_sealed(given)) {
        if (cluster::opened_password(given, secret)) return {};
        return fail(ErrorKind::Refused, "it was sealed by another cluster");
    }
    const std::string kept = text(before, field);
    const bool is_kept =
        cluster::is_sealed(kept) && cluster::opened_password(kept, secret).value_or("") == given;
    object[field] = is_kept ? kept : cluster::sealed_password(given, secret);
    return {};
}

/// A secret's current key, the one before and the one to come.
Result<> seal_keys(json& object, const json& before, const SealSecret& secret) {
    for (const char* which : {"current", "previous", "next"}) {
        const auto found = object.find(which);
        if (found == object.end() || !found->is_object()) continue;
        const json kept = before.is_object() ? before.value(which, json::object()) : json();
        const std::string given = text(*found, "key");
        if (!cluster::is_sealed(given) && given.size() < kShortestKey) {
            return fail(ErrorKind::Syntax, std::string(which) + ": a key in clear has at least " +
                                               std::to_string(kShortestKey) + " bytes");
        }
        if (auto sealed = seal_text(*found, "key", kept, secret); !sealed) return sealed;
    }
    return {};
}

}  // namespace

Result<> seal_secrets(std::string_view key, json& object, const json& before,
                      const SealSecret& secret) {
    if (!object.is_object()) return {};
    if (secret.bytes.size() != kSealKeyBytes) {
        return fail(ErrorKind::Refused,
                    "this node has not got the cluster's secret: join it again");
    }
    if (key.starts_with(cluster::kCredentialPrefix) || key.starts_with(cluster::kDeliveryPrefix)) {
        return seal_text(object, "password", before, secret);
    }
    if (key.starts_with(cluster::kCertificatePrefix)) return seal_key(object, before, secret);
    if (key.starts_with(cluster::kSecretPrefix)) return seal_keys(object, before, secret);
    if (key.starts_with(cluster::kDkimPrefix)) return seal_text(object, "key", before, secret);
    return {};
}

Result<std::size_t> seal_stored_secrets(state::Store& store, const SealSecret& secret) {
    const Revision head = store.head().revision;
    const auto stored = load_entries(store, {"certificates", "credentials"});
    if (!stored) return std::unexpected(stored.error());
    std::vector<Step> steps;
    for (const auto& [key, value] : stored->entries) {
        json sealed = value;
        // A seal of another cluster's is left for whoever has that secret.
        if (!seal_secrets(key, sealed, json(), secret) || sealed == value) continue;
        steps.push_back({Step::Kind::Change, key, value, std::move(sealed)});
    }
    if (steps.empty()) return 0U;
    if (auto done = carry_out(store, steps, stored->revisions, head); !done) {
        return std::unexpected(done.error());
    }
    return steps.size();
}

}  // namespace muster::admin
