#include "admin/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace muster::admin {

FolderLock::~FolderLock() {
    if (fd_ >= 0) ::close(fd_);
}

FolderLock::FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FolderLock& FolderLock::operator=(FolderLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}

Result<FolderLock> FolderLock::take(const std::string& folder) {
    const std::string path = folder + "/node.lock";
    FolderLock lock;
    // The folder may be an ordinary user's, who must not lead root to a file of somebody else.
    lock.fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (lock.fd_ < 0) return fail(ErrorKind::Io, path + ": " + std::strerror(errno));
    struct stat file{};
    if (::fstat(lock.fd_, &file) != 0 || !S_ISREG(file.st_mode) || file.st_nlink != 1) {
        return fail(ErrorKind::Io, path + " is no file of its own: remove it");
    }
    struct stat owner{};
    if (::geteuid() == 0 && file.st_uid == 0 && ::stat(folder.c_str(), &owner) == 0 &&
        ::fchown(lock.fd_, owner.st_uid, owner.st_gid) != 0) {
        return fail(ErrorKind::Io, path + ": " + std::strerror(errno));
    }
    if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
        return fail(ErrorKind::Conflict, "another muster runs with the state folder " + folder);
    }
    return lock;
}

}  // namespace muster::admin
