#include "queue/disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace muster::queue {

std::unexpected<Error> disk_error(int error, const std::string& what) {
    const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
    return fail(full ? ErrorKind::Limit : ErrorKind::Io,
                full ? "insufficient storage" : "local storage error",
                what + ": " + std::strerror(error));
}

Result<> write_at(int fd, std::uint64_t offset, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written =
            ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return disk_error(errno, "writing to the queue");
        bytes.remove_prefix(static_cast<std::size_t>(written));
        offset += static_cast<std::uint64_t>(written);
    }
    return {};
}

Result<std::size_t> read_at(int fd, std::uint64_t offset, std::string& into) {
    std::size_t have = 0;
    while (have < into.size()) {
        const ssize_t got =
            ::pread(fd, into.data() + have, into.size() - have, static_cast<off_t>(offset + have));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return disk_error(errno, "reading from the queue");
        if (got == 0) break;
        have += static_cast<std::size_t>(got);
    }
    return have;
}

File::~File() {
    if (fd_ >= 0) ::close(fd_);
}

Result<File> open_folder(const std::string& path) {
    File file(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!file.open()) return disk_error(errno, path);
    return file;
}

Result<File> make_folder(const std::string& path) {
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return disk_error(errno, path);
    return open_folder(path);
}

Result<> replace_file(const std::string& folder, const std::string& name, std::string_view text) {
    const auto parent = open_folder(folder);
    if (!parent) return std::unexpected(parent.error());
    const std::string beside = name + ".new";
    const File file(::openat(parent->fd(), beside.c_str(),
                             O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file.open()) return disk_error(errno, folder + "/" + beside);
    if (auto written = write_at(file.fd(), 0, text); !written) return written;
    if (::fsync(file.fd()) != 0 ||
        ::renameat(parent->fd(), beside.c_str(), parent->fd(), name.c_str()) != 0 ||
        ::fsync(parent->fd()) != 0) {
        return disk_error(errno, folder + "/" + name);
    }
    return {};
}

Result<std::string> read_small_file(const std::string& path, std::size_t limit) {
    const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file.open() && errno == ENOENT) return fail(ErrorKind::NotFound, "no file " + path);
    if (!file.open()) return disk_error(errno, path);
    std::string text(limit, '\0');
    const auto got = read_at(file.fd(), 0, text);
    if (!got) return std::unexpected(got.error());
    text.resize(*got);
    return text;
}

}  // namespace muster::queue
