#pragma once
// What a look-up says when it meets an entry that it cannot use: one of a newer version, or damage.

#include <expected>
#include <string_view>

#include "base/error.h"
#include "state/replica.h"

namespace muster::cluster {

/// Unavailable ("try again later"): nobody may be refused for what this version does not
/// understand. Said once in the log; a value that is no JSON makes the replica be fetched anew.
std::unexpected<Error> unreadable_entry(state::ReplicaReader& reader, std::string_view key,
                                        std::string_view value, std::string_view reason);

/// The same for a domain, of which the snapshot knows (Topology::is_unreadable()).
std::unexpected<Error> unreadable_domain();

/// The same for an account; finds out the reason.
std::unexpected<Error> unreadable_account(state::ReplicaReader& reader, std::string_view key,
                                          std::string_view value);

}  // namespace muster::cluster
