#pragma once
// The user that a node becomes once its ports are bound ([node] user).

#include <sys/types.h>

#include <optional>
#include <string>

#include "admin/node_file.h"
#include "base/error.h"

namespace muster::admin {

struct SystemUser {
    std::string name;
    uid_t uid = 0;
    gid_t gid = 0;
};

/// The user that a process started as root becomes; empty: it stays what it is (no `user` in the
/// file, or not started as root). NotFound when there is no such user, Refused on a back end: it
/// has to end the processes of Dovecot, which are other users'.
Result<std::optional<SystemUser>> user_to_become(const NodeSettings& node);

/// Refused, with the command to run, when the state folder or a file in it is somebody else's.
Result<> check_owner(const SystemUser& user, const std::string& state_dir);
/// Gives the state folder and what is in it away; makes the folder if it is not there.
Result<> give_state(const SystemUser& user, const std::string& state_dir);
/// For commands that root runs beside the node: what they left in the state folder is given to the
/// node's user, if it has one.
Result<> give_state_to_node(const NodeSettings& node);

/// Binds the TCP ports of the file, then becomes that user for good, on all threads, with the
/// user's own groups and nothing of root's. Does nothing when there is no user to become.
Result<> drop_privileges(const NodeConfig& config);

}  // namespace muster::admin
