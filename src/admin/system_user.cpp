#include "admin/system_user.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "admin/files.h"
#include "base/endpoint.h"
#include "base/log.h"
#include "net/bound_ahead.h"

namespace muster::admin {
namespace {

namespace fs = std::filesystem;

std::unexpected<Error> failed(const std::string& what) {
    return fail(ErrorKind::Io, what + ": " + std::strerror(errno));
}

Result<SystemUser> find_user(const std::string& name) {
    passwd entry{};
    passwd* found = nullptr;
    std::string buffer(16'384, '\0');
    ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (found == nullptr) {
        return fail(ErrorKind::NotFound, "[node] user: there is no user \"" + name + "\"");
    }
    return SystemUser{name, entry.pw_uid, entry.pw_gid};
}

std::string user_name(uid_t uid) {
    passwd entry{};
    passwd* found = nullptr;
    std::string buffer(16'384, '\0');
    ::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found);
    return found == nullptr ? "user " + std::to_string(uid) : found->pw_name;
}

void add_paths(std::vector<std::string>& paths, const std::string& folder) {
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
        paths.push_back(entry.path().string());
    }
}

/// The folder itself, the files in it, and those of the networks that are followed.
std::vector<std::string> paths_of(const std::string& state_dir) {
    std::vector<std::string> paths{state_dir};
    add_paths(paths, state_dir);
    std::vector<std::string> networks;
    add_paths(networks, state_dir + "/networks");
    for (const std::string& network : networks) {
        paths.push_back(network);
        add_paths(paths, network);
    }
    return paths;
}

Result<> bind_all(const NodeConfig& config) {
    const auto bind = [](const std::string& text, std::size_t count) -> Result<> {
        const auto endpoint = Endpoint::parse(text);
        // What is wrong with an address is said by whoever listens on it.
        if (!endpoint || endpoint->port == 0) return {};
        return net::bind_ahead(*endpoint, count);
    };
    for (const ListenerSettings& listener : config.listeners) {
        if (auto bound = bind(listener.address, config.node.workers); !bound) return bound;
    }
    if (!config.mail.socketmap.empty()) {
        if (auto bound = bind(config.mail.socketmap, config.node.workers); !bound) return bound;
    }
    if (auto bound = bind(config.cluster.listen, 1); !bound) return bound;
    if (auto bound = bind(config.cluster.clear_listen, 1); !bound) return bound;
    return bind(config.admin.listen, 1);
}

Result<> become(const SystemUser& user) {
    if (::initgroups(user.name.c_str(), user.gid) != 0) {
        return failed("cannot take the groups of " + user.name);
    }
    if (::setresgid(user.gid, user.gid, user.gid) != 0 ||
        ::setresuid(user.uid, user.uid, user.uid) != 0) {
        return failed("cannot become " + user.name);
    }
    if (::setuid(0) == 0) return fail(ErrorKind::Io, "root could be had back: not started");
    return {};
}

}  // namespace

Result<std::optional<SystemUser>> user_to_become(const NodeSettings& node) {
    if (node.user.empty() || ::geteuid() != 0) return std::nullopt;
    auto user = find_user(node.user);
    if (!user) return std::unexpected(user.error());
    if (user->uid == 0) return std::nullopt;
    if (node.roles.backend) {
        return fail(ErrorKind::Refused,
                    "[node] user: a back end ends processes of Dovecot and stays root; leave the "
                    "option empty");
    }
    return *user;
}

Result<> check_owner(const SystemUser& user, const std::string& state_dir) {
    for (const std::string& path : paths_of(state_dir)) {
        struct stat status{};
        if (::lstat(path.c_str(), &status) != 0 || status.st_uid == user.uid) continue;
        return fail(ErrorKind::Refused, path + " belongs to " + user_name(status.st_uid) +
                                            ", not to " + user.name + " ([node] user): chown -R " +
                                            user.name + ": " + state_dir);
    }
    return {};
}

Result<> give_state(const SystemUser& user, const std::string& state_dir) {
    if (auto made = make_folder(state_dir, 0700); !made) return made;
    for (const std::string& path : paths_of(state_dir)) {
        if (::lchown(path.c_str(), user.uid, user.gid) != 0) {
            return failed("cannot give " + path + " to " + user.name);
        }
    }
    return {};
}

Result<> give_state_to_node(const NodeSettings& node) {
    const auto user = user_to_become(node);
    if (!user) return std::unexpected(user.error());
    return *user ? give_state(**user, node.state_dir) : Result<>();
}

Result<> drop_privileges(const NodeConfig& config) {
    const auto user = user_to_become(config.node);
    if (!user) return std::unexpected(user.error());
    if (!*user) return {};
    if (!exists(config.node.state_dir)) {
        if (auto given = give_state(**user, config.node.state_dir); !given) return given;
    }
    if (auto fine = check_owner(**user, config.node.state_dir); !fine) return fine;
    if (auto bound = bind_all(config); !bound) return bound;
    if (auto done = become(**user); !done) return done;
    log::info("user", {{"name", (*user)->name}, {"uid", std::uint64_t{(*user)->uid}}});
    return {};
}

}  // namespace muster::admin
