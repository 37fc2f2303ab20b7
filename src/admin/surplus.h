#pragma once
// What a deposed master had that the cluster has not: kept in a file for people to look at.

#include <string>
#include <vector>

#include "state/store.h"

namespace muster::admin {

/// Writes the changes after `shared` to a new file `surplus-….json` of the folder (0600) and
/// returns its path; an empty one when there are none. Blocks.
Result<std::string> keep_surplus(state::Store& store, Revision shared, const std::string& leader,
                                 const std::string& folder);
/// The files that are there.
std::vector<std::string> surplus_files(const std::string& folder);

}  // namespace muster::admin
