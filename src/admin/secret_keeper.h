#pragma once
// The master's part in secrets that all front ends have in common: it makes what is missing, and
// renews what has been in use for long enough.

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/seal.h"
#include "cluster/shared_secret.h"
#include "cluster/topology.h"
#include "state/store.h"

namespace muster::admin {

/// Key material of a secret: random bytes, unsealed.
inline constexpr std::size_t kSharedKeyBytes = 32;

/// A secret of which nobody has seen anything yet. Its keys are sealed at once.
cluster::SharedSecret new_secret(std::string_view name, const SealSecret& seal,
                                 std::chrono::sys_seconds now);
/// The next key becomes current, the current one previous, the previous one is forgotten, and a new
/// one is to come.
cluster::SharedSecret rotated(cluster::SharedSecret secret, const SealSecret& seal,
                              std::chrono::sys_seconds now);

/// Whether keep_secrets() has something to do, by what the replica says. Cheap, pure.
bool secrets_are_due(const cluster::Topology& topology, std::chrono::sys_seconds now);
/// Makes `secret/tickets` and `secret/srs` where they are missing, and rotates the former after
/// `ticket_rotation` hours (a setting). Each upon the entry as it was read: of two masters that
/// change over, one does it. Blocks; on masters. Errors: Refused (the node has not got the
/// cluster's secret), Conflict (somebody else was quicker), Io.
Result<> keep_secrets(state::Store& store, const cluster::Topology& topology,
                      const SealSecret& seal, std::chrono::sys_seconds now);
/// Rotates one, or with `all` replaces all its keys: what was made with them is worth nothing then.
/// NotFound: no such secret.
Result<cluster::SharedSecret> rotate_secret(state::Store& store, std::string_view name, bool all,
                                            const SealSecret& seal, std::chrono::sys_seconds now);

/// The keys of a secret, unsealed: the current one, then those that are accepted, too. Refused:
/// sealed by another cluster, or this node has not got the secret.
Result<std::vector<std::string>> opened_keys(const cluster::SharedSecret& secret,
                                             const SealSecret& seal);

}  // namespace muster::admin
