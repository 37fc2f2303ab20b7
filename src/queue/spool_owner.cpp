#include "queue/spool_owner.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

namespace muster::queue {

Result<File> lock_spool(const std::string& folder) {
    const std::string path = folder + "/lock";
    File file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file.open()) return disk_error(errno, path);
    if (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0) {
        return fail(ErrorKind::Conflict, "another process runs the queue in " + folder);
    }
    return file;
}

Result<> write_owner(const std::string& folder, const Owner& owner) {
    return replace_file(folder, "OWNER", render(owner));
}

Result<Owner> read_owner(const std::string& folder) {
    const auto text = read_small_file(folder + "/OWNER");
    if (!text) return std::unexpected(text.error());
    return parse_owner(*text);
}

OwnerWatch::OwnerWatch(std::string folder)
    : path_(std::move(folder) + "/OWNER"), held_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat status{};
    if (!held_.open() || ::fstat(held_.fd(), &status) != 0) return;
    device_ = status.st_dev;
    inode_ = status.st_ino;
}

bool OwnerWatch::unchanged() const {
    struct stat status{};
    return held_.open() && ::stat(path_.c_str(), &status) == 0 && status.st_dev == device_ &&
           status.st_ino == inode_;
}

}  // namespace muster::queue
