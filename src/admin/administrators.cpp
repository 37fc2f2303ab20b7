#include "admin/administrators.h"

#include "admin/fan_out.h"
#include "admin/peers.h"
#include "base/base64.h"
#include "base/password.h"
#include "base/seal.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr auto kRemember = std::chrono::seconds(60);
// A node that does not see administrators learns of a change this late.
constexpr auto kRememberUnseen = std::chrono::seconds(5);
constexpr auto kFailureWindow = std::chrono::minutes(5);
constexpr int kFailures = 20;
constexpr int kMemberFailures = 100;  // of clients at many addresses
constexpr std::size_t kRemembered = 1000;
constexpr std::string_view kBasic = "Basic ";
constexpr std::size_t kLongestCredentials = 4096;

std::unexpected<Error> refused() {
    return fail(ErrorKind::Refused, "administrator's name or password is wrong");
}

/// So that an unknown name costs what a known one does.
void verify_against_nothing(const std::string& password) {
    static const std::string kNobody = make_scram_sha256("nobody's password").value_or("");
    static_cast<void>(verify_password(kNobody, password));
}

}  // namespace

Administrators::Administrators(NodeContext& node)
    : node_(node),
      attempts_(kFailures, kFailureWindow),
      passed_on_(kMemberFailures, kFailureWindow) {}

bool Administrators::sees_entries() const { return node_.scope() >= state::Scope::Backend; }

/// Empty when there is no such administrator.
Result<std::string> Administrators::entry_of(const std::string& name) const {
    state::ReplicaReader reader(node_.replica);
    auto row = reader.find(cluster::admin_key(name));
    if (!row) return std::unexpected(row.error());
    if (!*row) return std::string();
    return std::string((*row)->value);
}

Result<Administrators::Proven> Administrators::verify(const std::string& name,
                                                      const std::string& password) {
    auto entry = entry_of(name);
    if (!entry) return std::unexpected(entry.error());
    if (entry->empty()) {
        verify_against_nothing(password);
        return refused();
    }
    const auto administrator = cluster::decode_administrator(name, *entry);
    if (!administrator) return std::unexpected(administrator.error());
    for (const std::string& key : administrator->keys) {
        if (verify_password(key, password).value_or(false)) {
            return Proven{{name, !administrator->read_only}, *entry, Clock::now() + kRemember};
        }
    }
    return refused();
}

Result<Administrators::Proven> Administrators::ask_master(const std::string& authorization,
                                                          const IpAddress& from) {
    net::HttpCall call{"POST", "/v1/administrators/verify"};
    call.body = state::json_line(json{{"authorization", authorization}, {"client", from.text()}});
    const auto answer = body_of(node_.peers->call_master(call));
    if (!answer) {
        if (answer.error().kind == ErrorKind::Refused) return refused();
        return std::unexpected(answer.error());
    }
    const auto name = text_field(*answer, "name");
    const bool whole = name && !name->empty() && answer->contains("may_write") &&
                       (*answer)["may_write"].is_boolean();
    if (!whole) return fail(ErrorKind::Unavailable, "the master answers nonsense");
    return Proven{{*name, (*answer)["may_write"].get<bool>()}, "", Clock::now() + kRememberUnseen};
}

std::optional<AdministratorRights> Administrators::remembered(const std::string& digest) {
    Proven proven;
    {
        const std::scoped_lock lock(mutex_);
        const auto found = proven_.find(digest);
        if (found == proven_.end() || found->second.until <= Clock::now()) return std::nullopt;
        proven = found->second;
    }
    if (sees_entries() && entry_of(proven.rights.name).value_or("") != proven.entry) {
        return std::nullopt;
    }
    return proven.rights;
}

Result<Administrators::Proven> Administrators::judge(const std::string& authorization,
                                                     const IpAddress& from) {
    const auto plain =
        base64_decode(std::string_view(authorization).substr(kBasic.size()), kLongestCredentials);
    const std::size_t colon = plain ? plain->find(':') : std::string::npos;
    if (colon == std::string::npos) return refused();
    if (!sees_entries()) return ask_master(authorization, from);
    return verify(plain->substr(0, colon), plain->substr(colon + 1));
}

bool Administrators::begin_attempt(const IpAddress& from, const std::string& member) {
    if (!attempts_.begin(from)) return false;
    if (member.empty() || passed_on_.begin(member)) return true;
    attempts_.forgive(from);
    return false;
}

Result<AdministratorRights> Administrators::check(std::string_view authorization,
                                                  const IpAddress& from,
                                                  const std::string& member) {
    if (!authorization.starts_with(kBasic)) {
        return fail(ErrorKind::Refused, "an administrator's name and password are needed");
    }
    const std::string shown(authorization);
    const std::string digest = sha256(shown);
    if (auto rights = remembered(digest)) return *rights;
    if (!begin_attempt(from, member)) {
        return fail(ErrorKind::Limit, "too many failed logins, wait five minutes");
    }
    auto proven = judge(shown, from);
    if (proven || proven.error().kind != ErrorKind::Refused) {
        attempts_.forgive(from);
        if (!member.empty()) passed_on_.forgive(member);
    }
    if (!proven) return std::unexpected(proven.error());
    const std::scoped_lock lock(mutex_);
    if (proven_.size() >= kRemembered) proven_.clear();
    proven_[digest] = *proven;
    return proven->rights;
}

}  // namespace muster::admin
