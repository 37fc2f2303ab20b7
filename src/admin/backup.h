#pragma once
// The whole state of a cluster as one sealed file: the store, the master's identity, the
// authority's key, the audit log, and what it knows of the networks that it follows.

#include <string>

#include "admin/node_file.h"
#include "base/error.h"
#include "state/store.h"

namespace muster::admin {

/// Writes a backup of a running master to `path` (which must not exist), sealed with a passphrase.
Result<> write_backup(state::Store& directory, const std::string& state_dir,
                      const std::string& passphrase, const std::string& path);

/// What a backup that did not come to its end has left in the state folder.
void remove_torn_backups(const std::string& state_dir);

/// Brings a backup back into the state folder of a master that does not run. Conflict when a
/// node runs with the folder, or the folder holds a cluster already, unless `replace`: then that
/// is kept beside it as `NAME.old`.
Result<> restore_backup(const NodeConfig& config, const std::string& path,
                        const std::string& passphrase, bool replace);

}  // namespace muster::admin
