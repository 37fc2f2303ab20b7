#pragma once
// The user that a node becomes once its ports are bound ([node] user).

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

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
/// Gives the state folder and what is in it away; makes the folder if it is not there. Refused
/// where something is neither file nor folder: the user may have put a link there.
Result<> give_state(const SystemUser& user, const std::string& state_dir);
/// For commands that root runs beside the node: while this lives, the process acts as the node's
/// user, so that what it writes in the state folder is the user's, and a link which he put there
/// leads root nowhere. Does nothing where there is no user to become. For one thread at a time.
class ActsAsUser {
public:
    /// Gives the state folder to the user first.
    static Result<std::unique_ptr<ActsAsUser>> begin(const NodeSettings& node);
    ~ActsAsUser();
    ActsAsUser(const ActsAsUser&) = delete;
    ActsAsUser& operator=(const ActsAsUser&) = delete;

private:
    ActsAsUser() = default;
    bool acts_ = false;
    gid_t group_ = 0;
    std::vector<gid_t> groups_;
};

/// Binds the TCP ports of the file, then becomes that user for good, on all threads, with the
/// user's own groups and nothing of root's. Does nothing when there is no user to become.
Result<> drop_privileges(const NodeConfig& config);

}  // namespace muster::admin
