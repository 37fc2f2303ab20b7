#include "admin/system_user.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "admin/files.h"
#include "admin/node_identity.h"
#include "base/endpoint.h"
#include "base/log.h"
#include "net/bound_ahead.h"

namespace muster::admin {
namespace {

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

/// Closes itself.
class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int get() const { return fd_; }

private:
    const int fd_;
};

/// Told what `fd` (O_PATH) is, which cannot become something else meanwhile.
using Visit = std::function<Result<>(const std::string& path, int fd, const struct stat& status)>;

Result<std::vector<std::string>> names_in(int folder, const std::string& path) {
    const int fd = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* const listing = fd < 0 ? nullptr : ::fdopendir(fd);
    if (listing == nullptr) {
        if (fd >= 0) ::close(fd);
        return failed("cannot read " + path);
    }
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(listing)) {
        const std::string name = entry->d_name;
        if (name != "." && name != "..") names.push_back(name);
    }
    ::closedir(listing);
    return names;
}

/// What is in a folder, and in its folders down to `levels`; with `only`, in that one alone. The
/// folders are the node's user's, who may put links there: none is followed.
Result<> visit_folder(int folder, const std::string& path, int levels, std::string_view only,
                      const Visit& visit) {
    const auto names = names_in(folder, path);
    if (!names) return std::unexpected(names.error());
    for (const std::string& name : *names) {
        const std::string inner = path + "/" + name;
        const Descriptor found(::openat(folder, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        struct stat status{};
        if (found.get() < 0 && errno == ENOENT) continue;
        if (found.get() < 0 || ::fstat(found.get(), &status) != 0) {
            return failed("cannot look at " + inner);
        }
        if (auto done = visit(inner, found.get(), status); !done) return done;
        if (!S_ISDIR(status.st_mode) || levels == 0 || (!only.empty() && name != only)) continue;
        if (auto done = visit_folder(found.get(), inner, levels - 1, "", visit); !done) return done;
    }
    return {};
}

/// The folder itself, the files in it, and those of the networks that are followed.
Result<> visit_state(const std::string& state_dir, const Visit& visit) {
    const Descriptor folder(::open(state_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat status{};
    if (folder.get() < 0 || ::fstat(folder.get(), &status) != 0) {
        return failed("cannot look at " + state_dir);
    }
    if (auto done = visit(state_dir, folder.get(), status); !done) return done;
    return visit_folder(folder.get(), state_dir, 2, "networks", visit);
}

/// Files and folders, and the socket of the administration; nothing that leads elsewhere.
Result<> check_kind(const std::string& path, const struct stat& status, const SystemUser& user) {
    const bool is_plain =
        S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISSOCK(status.st_mode);
    if (!is_plain) {
        return fail(ErrorKind::Refused, path + " is neither a file nor a folder: remove it");
    }
    if (S_ISREG(status.st_mode) && status.st_nlink > 1 && status.st_uid != user.uid) {
        return fail(ErrorKind::Refused, path + " has a second name elsewhere: remove it");
    }
    return {};
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
    const auto check = [&](const std::string& path, int, const struct stat& status) -> Result<> {
        if (status.st_uid == user.uid) return {};
        return fail(ErrorKind::Refused, path + " belongs to " + user_name(status.st_uid) +
                                            ", not to " + user.name + " ([node] user): chown -R " +
                                            user.name + ": " + state_dir);
    };
    return visit_state(state_dir, check);
}

Result<> give_state(const SystemUser& user, const std::string& state_dir) {
    if (auto made = make_folder(state_dir, 0700); !made) return made;
    const auto give = [&](const std::string& path, int fd, const struct stat& status) -> Result<> {
        if (auto fine = check_kind(path, status, user); !fine) return fine;
        if (::fchownat(fd, "", user.uid, user.gid, AT_EMPTY_PATH) == 0) return {};
        return failed("cannot give " + path + " to " + user.name);
    };
    return visit_state(state_dir, give);
}

Result<std::unique_ptr<ActsAsUser>> ActsAsUser::begin(const NodeSettings& node) {
    const auto user = user_to_become(node);
    if (!user) return std::unexpected(user.error());
    std::unique_ptr<ActsAsUser> acting(new ActsAsUser);
    if (!*user) return acting;
    if (auto given = give_state(**user, node.state_dir); !given)
        return std::unexpected(given.error());
    acting->groups_.resize(NGROUPS_MAX);
    const int groups = ::getgroups(NGROUPS_MAX, acting->groups_.data());
    acting->groups_.resize(static_cast<std::size_t>(std::max(groups, 0)));
    acting->group_ = ::getegid();
    acting->acts_ = true;
    if (groups < 0 || ::initgroups((*user)->name.c_str(), (*user)->gid) != 0 ||
        ::setegid((*user)->gid) != 0 || ::seteuid((*user)->uid) != 0) {
        return failed("cannot act as " + (*user)->name);
    }
    return acting;
}

ActsAsUser::~ActsAsUser() {
    if (!acts_) return;
    const bool is_back = ::seteuid(0) == 0 && ::setegid(group_) == 0 &&
                         ::setgroups(groups_.size(), groups_.data()) == 0;
    if (!is_back) std::abort();  // neither the one nor the other
}

/// A password file that root made is read by the node once it is its user.
void give_password_file(const SystemUser& user, const std::string& path) {
    if (path.empty()) return;
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    struct stat status{};
    if (file.get() < 0 || ::fstat(file.get(), &status) != 0) return;
    // What is wrong with others is said by whoever reads them.
    const bool is_roots_alone = S_ISREG(status.st_mode) && status.st_uid == 0 &&
                                status.st_nlink == 1 && (status.st_mode & 0077) == 0;
    if (is_roots_alone && ::fchown(file.get(), user.uid, user.gid) != 0) {
        log::warning("password_file_unread", {{"file", path}, {"why", std::strerror(errno)}});
    }
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
    for (const FollowSettings& follow : config.follows) {
        if (exists(network_folder(config, follow.name) + "/cluster.json")) continue;
        give_password_file(**user, follow.password_file);
    }
    if (auto done = become(**user); !done) return done;
    log::info("user", {{"name", (*user)->name}, {"uid", std::uint64_t{(*user)->uid}}});
    return {};
}

}  // namespace muster::admin
