#include "admin/password_joins.h"

#include "admin/json_fields.h"
#include "base/client_network.h"
#include "base/log.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kNonceCharacters = 32;  // 160 bits

std::string row_of(const std::string& user, const IpAddress& from) {
    return client_network(from).text() + " " + user;
}

std::unexpected<Error> too_many() {
    return fail(ErrorKind::Limit, "too many failed logins, wait five minutes");
}

}  // namespace

Result<PasswordJoins::Known> PasswordJoins::key_of(const std::string& user) const {
    const auto entry = node_.directory->get(cluster::admin_key(user));
    if (!entry) return std::unexpected(entry.error());
    Known known{unknown_users_key(user, node_.identity.secret)};
    if (!*entry) return known;
    const auto administrator = cluster::decode_administrator(user, (*entry)->value);
    if (!administrator) {
        known.unusable = administrator.error().detail;
        return known;
    }
    for (const std::string& key : administrator->keys) {
        if (auto parsed = parse_scram_sha256(key)) return Known{std::move(*parsed)};
    }
    known.unusable = "the password of " + user +
                     " is stored in a form with which nothing can join: set it anew (muster "
                     "administrator set " +
                     user + ")";
    return known;
}

Result<> PasswordJoins::check_rights(const std::string& user) const {
    const auto entry = node_.directory->get(cluster::admin_key(user));
    if (!entry) return std::unexpected(entry.error());
    const auto administrator =
        *entry ? cluster::decode_administrator(user, (*entry)->value)
               : fail(ErrorKind::Refused, "this administrator is there no more");
    if (!administrator) return std::unexpected(administrator.error());
    if (administrator->read_only)
        return fail(ErrorKind::Refused, "this administrator may only read");
    return {};
}

bool PasswordJoins::knows(const std::string& user) const {
    const auto entry = node_.directory->get(cluster::admin_key(user));
    return entry && *entry;
}

bool PasswordJoins::begin_proof(const std::string& user, const IpAddress& from) {
    if (!by_network_.begin(row_of(user, from))) return false;
    if (by_name_.begin(user)) return true;
    by_network_.forgive(row_of(user, from));
    return false;
}

void PasswordJoins::forgive(const std::string& user, const IpAddress& from) {
    by_network_.forgive(row_of(user, from));
    by_name_.forgive(user);
}

Result<json> PasswordJoins::begin(json& wish, const JoinCaller& caller) {
    auto first = parse_scram_first(text(wish, "scram"));
    if (!first) return std::unexpected(first.error());
    if (first->header != kJoinBinding) {
        return fail(ErrorKind::Refused,
                    "a join is bound to both keys (" + std::string(kJoinBinding) + ")");
    }
    json asked = wish;
    asked.erase("scram");
    wish["user"] = first->user;
    if (auto sound = check_wish(asked, caller); !sound) return std::unexpected(sound.error());
    if (by_network_.reached(row_of(first->user, caller.from)) || by_name_.reached(first->user)) {
        return too_many();
    }
    auto key = key_of(first->user);
    if (!key) return std::unexpected(key.error());
    const std::string user = first->user;
    ScramServer exchange(std::move(*first), std::move(key->key), random_name(kNonceCharacters));
    const std::string nonce = exchange.nonce();
    json answer{{"scram", exchange.challenge()}};
    begun_.put(nonce,
               {std::move(asked), caller.pin, user, std::move(exchange), std::move(key->unusable)});
    return answer;
}

Result<json> PasswordJoins::finish(json& wish, const JoinCaller& caller) {
    const std::string final = text(wish, "scram");
    auto begun = begun_.take(scram_nonce(final));
    if (!begun || begun->pin != caller.pin) {
        return fail(ErrorKind::Refused,
                    "this join was not begun here, is too old or was answered already");
    }
    wish = begun->wish;
    wish["user"] = begun->user;
    if (!begin_proof(begun->user, caller.from)) return too_many();
    const std::string asked = state::json_line(begun->wish);
    const auto proof =
        begun->exchange.finish(final, join_binding_data(node_.identity.pin, caller.pin, asked));
    if (!proof) {
        Error refusal = proof.error();
        // Whoever asks hears what he would hear of a name that is not there.
        if (!begun->unusable.empty()) refusal.detail = begun->unusable;
        return std::unexpected(std::move(refusal));
    }
    forgive(begun->user, caller.from);
    if (auto fine = check_rights(begun->user); !fine) return std::unexpected(fine.error());
    auto admitted = admit_node(node_, begun->wish, caller);
    if (!admitted) return admitted;
    (*admitted)["scram"] = *proof;
    return admitted;
}

}  // namespace muster::admin
