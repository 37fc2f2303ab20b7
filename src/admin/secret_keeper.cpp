#include "admin/secret_keeper.h"

#include <array>
#include <utility>

#include "base/log.h"
#include "cluster/credential_seal.h"
#include "cluster/entry_keys.h"

namespace muster::admin {
namespace {

using cluster::SharedKey;
using cluster::SharedSecret;

constexpr std::array kKept{cluster::kTicketSecret, cluster::kSrsSecret};
constexpr std::size_t kIdLength = 8;
constexpr std::uint64_t kRotationHours = 12;

SharedKey new_key(const SealSecret& seal) {
    return {random_name(kIdLength), cluster::sealed_password(random_bytes(kSharedKeyBytes), seal)};
}

std::uint64_t seconds_of(std::chrono::sys_seconds time) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(time.time_since_epoch().count(), 0));
}

std::chrono::seconds rotation_of(const cluster::Topology& topology) {
    constexpr std::uint64_t kYear = 24 * 365;
    return std::chrono::hours(
        std::min(topology.setting_number("ticket_rotation", kRotationHours), kYear));
}

/// A time of rotation far ahead is that of a clock that was wrong.
bool is_old(const SharedSecret& secret, std::chrono::seconds limit, std::chrono::sys_seconds now) {
    if (limit == std::chrono::seconds(0) || secret.name != cluster::kTicketSecret) return false;
    const std::chrono::sys_seconds then{std::chrono::seconds(secret.rotated)};
    return now - then >= limit || then - now > limit;
}

std::string key_of(std::string_view name) {
    return std::string(cluster::kSecretPrefix) + std::string(name);
}

Result<> put_secret(state::Store& store, const SharedSecret& secret, Revision expected) {
    state::Transaction transaction;
    const std::string key = key_of(secret.name);
    const auto done =
        store.commit(transaction.expect(key, expected).put(key, cluster::encode(secret)));
    if (!done) return std::unexpected(done.error());
    log::info("secret-rotated", {{"secret", secret.name}, {"current", secret.current.id}});
    return {};
}

struct Stored {
    std::optional<SharedSecret> secret{};
    Revision revision = 0;
};

Result<Stored> stored_secret(state::Store& store, std::string_view name) {
    const auto entry = store.get(key_of(name));
    if (!entry) return std::unexpected(entry.error());
    if (!*entry) return Stored{};
    auto secret = cluster::decode_shared_secret(name, (*entry)->value);
    if (!secret) return std::unexpected(secret.error());
    return Stored{std::move(*secret), (*entry)->revision};
}

Result<> check_seal(const SealSecret& seal) {
    if (seal.bytes.size() == kSealKeyBytes) return {};
    return fail(ErrorKind::Refused, "this node has not got the cluster's secret: join it again");
}

}  // namespace

SharedSecret new_secret(std::string_view name, const SealSecret& seal,
                        std::chrono::sys_seconds now) {
    SharedSecret secret;
    secret.name = name;
    secret.current = new_key(seal);
    secret.next = new_key(seal);
    secret.rotated = seconds_of(now);
    return secret;
}

SharedSecret rotated(SharedSecret secret, const SealSecret& seal, std::chrono::sys_seconds now) {
    SharedKey next = secret.next ? std::move(*secret.next) : new_key(seal);
    secret.previous = std::exchange(secret.current, std::move(next));
    secret.next = new_key(seal);
    secret.rotated = seconds_of(now);
    return secret;
}

bool secrets_are_due(const cluster::Topology& topology, std::chrono::sys_seconds now) {
    const auto limit = rotation_of(topology);
    return std::ranges::any_of(kKept, [&](std::string_view name) {
        const SharedSecret* secret = topology.secret(name);
        return secret == nullptr || is_old(*secret, limit, now);
    });
}

Result<> keep_secrets(state::Store& store, const cluster::Topology& topology,
                      const SealSecret& seal, std::chrono::sys_seconds now) {
    if (auto fine = check_seal(seal); !fine) return fine;
    const auto limit = rotation_of(topology);
    for (const std::string_view name : kKept) {
        const auto stored = stored_secret(store, name);
        if (!stored) return std::unexpected(stored.error());
        const auto& secret = stored->secret;
        if (secret && !is_old(*secret, limit, now)) continue;
        const SharedSecret fresh =
            secret ? rotated(*secret, seal, now) : new_secret(name, seal, now);
        if (auto put = put_secret(store, fresh, stored->revision); !put) return put;
    }
    return {};
}

Result<SharedSecret> rotate_secret(state::Store& store, std::string_view name, bool all,
                                   const SealSecret& seal, std::chrono::sys_seconds now) {
    if (auto fine = check_seal(seal); !fine) return std::unexpected(fine.error());
    const auto stored = stored_secret(store, name);
    if (!stored) return std::unexpected(stored.error());
    if (!stored->secret)
        return fail(ErrorKind::NotFound, "there is no secret " + std::string(name));
    SharedSecret fresh = all ? new_secret(name, seal, now) : rotated(*stored->secret, seal, now);
    fresh.unknown = stored->secret->unknown;
    if (auto put = put_secret(store, fresh, stored->revision); !put) {
        return std::unexpected(put.error());
    }
    return fresh;
}

Result<std::vector<std::string>> opened_keys(const SharedSecret& secret, const SealSecret& seal) {
    std::vector<std::string> keys;
    const auto take = [&](const SharedKey& key) -> Result<> {
        auto opened = cluster::opened_password(key.key, seal);
        if (!opened) return std::unexpected(opened.error());
        if (opened->empty()) return fail(ErrorKind::Corrupt, "an empty key");
        keys.push_back(std::move(*opened));
        return {};
    };
    if (auto taken = take(secret.current); !taken) return std::unexpected(taken.error());
    for (const auto& other : {secret.previous, secret.next}) {
        if (!other) continue;
        if (auto taken = take(*other); !taken) return std::unexpected(taken.error());
    }
    return keys;
}

}  // namespace muster::admin
