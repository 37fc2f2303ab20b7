#include "admin/administrators.h"

#include "admin/peers.h"
#include "base/base64.h"
#include "base/password.h"
#include "base/seal.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr auto kRemember = std::chrono::seconds(60);
constexpr auto kFailureWindow = std::chrono::minutes(5);
constexpr int kFailures = 20;
constexpr std::size_t kRemembered = 1000;

std::unexpected<Error> refused() {
    return fail(ErrorKind::Refused, "administrator's name or password is wrong");
}

}  // namespace

bool Administrators::may_try(const IpAddress& from) {
    const std::scoped_lock lock(mutex_);
    const auto found = failures_.find(from);
    if (found == failures_.end()) return true;
    if (Clock::now() - found->second.since > kFailureWindow) {
        failures_.erase(found);
        return true;
    }
    return found->second.count < kFailures;
}

void Administrators::failed(const IpAddress& from) {
    const std::scoped_lock lock(mutex_);
    if (failures_.size() >= kRemembered) failures_.clear();
    Failures& failures = failures_[from];
    if (failures.count++ == 0) failures.since = Clock::now();
}

Result<AdministratorRights> Administrators::verify(const std::string& name,
                                                   const std::string& password) {
    state::ReplicaReader reader(node_.replica);
    const auto row = reader.find(cluster::admin_key(name));
    if (!row) return std::unexpected(row.error());
    if (!*row) return refused();
    const auto administrator = cluster::decode_administrator(name, (*row)->value);
    if (!administrator) return std::unexpected(administrator.error());
    for (const std::string& key : administrator->keys) {
        if (verify_password(key, password).value_or(false)) {
            return AdministratorRights{name, !administrator->read_only};
        }
    }
    return refused();
}

Result<AdministratorRights> Administrators::ask_master(const std::string& authorization) {
    net::HttpCall call{"POST", "/v1/administrators/verify"};
    // A header may hold any bytes.
    call.body =
        json{{"authorization", authorization}}.dump(-1, ' ', false, json::error_handler_t::replace);
    const auto reply = node_.peers->call_master(call);
    if (!reply) return std::unexpected(reply.error());
    const json answer = json::parse(reply->body, nullptr, false);
    if (reply->status != 200 || !answer.is_object()) return refused();
    return AdministratorRights{answer.value("name", ""), answer.value("may_write", false)};
}

Result<AdministratorRights> Administrators::check(std::string_view authorization,
                                                  const IpAddress& from) {
    constexpr std::string_view kBasic = "Basic ";
    if (!authorization.starts_with(kBasic)) {
        return fail(ErrorKind::Refused, "an administrator's name and password are needed");
    }
    if (!may_try(from)) return fail(ErrorKind::Limit, "too many failed logins, wait five minutes");
    const std::string shown(authorization);
    const std::string digest = sha256(shown);
    {
        const std::scoped_lock lock(mutex_);
        const auto found = proven_.find(digest);
        if (found != proven_.end() && found->second.until > Clock::now()) {
            return found->second.rights;
        }
    }
    const auto plain = base64_decode(authorization.substr(kBasic.size()), 4096);
    const std::size_t colon = plain ? plain->find(':') : std::string::npos;
    if (colon == std::string::npos) return refused();
    const bool sees_them = node_.scope() >= state::Scope::Backend;
    auto rights =
        sees_them ? verify(plain->substr(0, colon), plain->substr(colon + 1)) : ask_master(shown);
    if (!rights) {
        if (rights.error().kind == ErrorKind::Refused) failed(from);
        return rights;
    }
    const std::scoped_lock lock(mutex_);
    if (proven_.size() >= kRemembered) proven_.clear();
    proven_[digest] = {*rights, Clock::now() + kRemember};
    return rights;
}

}  // namespace muster::admin
