#include "admin/password_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "base/password.h"

namespace muster::admin {
namespace {

Result<> check_file(int fd, const std::string& path) {
    struct stat status{};
    if (::fstat(fd, &status) != 0) {
        return fail(ErrorKind::Io, path + ": " + std::strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        return fail(ErrorKind::Refused, path + " is no regular file: a password is read from one");
    }
    if (status.st_uid != ::geteuid()) {
        return fail(ErrorKind::Refused,
                    path + " belongs to somebody else: chown it to the user of this process");
    }
    if ((status.st_mode & 0077) != 0) {
        return fail(ErrorKind::Refused, path +
                                            " can be read by others, it was not used: chmod 600 " +
                                            path + ", and think about a new password");
    }
    return {};
}

}  // namespace

Result<std::string> read_password_file(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        const auto kind = errno == ENOENT ? ErrorKind::NotFound : ErrorKind::Refused;
        return fail(kind, path + ": " + std::strerror(errno));
    }
    auto fine = check_file(fd, path);
    std::array<char, kMaxPassword + 2> buffer{};
    const ssize_t count = fine ? ::read(fd, buffer.data(), buffer.size()) : 0;
    ::close(fd);
    if (!fine) return std::unexpected(fine.error());
    std::string text(buffer.data(), count < 0 ? 0 : static_cast<std::size_t>(count));
    ::explicit_bzero(buffer.data(), buffer.size());
    if (const auto end = text.find('\n'); end != text.npos) text.resize(end);
    if (text.ends_with('\r')) text.pop_back();
    if (text.empty()) return fail(ErrorKind::Refused, path + " holds no password");
    if (text.size() > kMaxPassword) return fail(ErrorKind::Refused, path + " is too long");
    return text;
}

void remove_password_file(const std::string& path) {
    if (::unlink(path.c_str()) == 0 || errno == ENOENT) return;
    const std::string why = std::strerror(errno);
    // The folder may be root's.
    const int fd = ::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    const bool is_empty = fd >= 0 && ::ftruncate(fd, 0) == 0;
    if (fd >= 0) ::close(fd);
    log::warning(
        "password_file_left",
        {{"file", path},
         {"why", why},
         {"what_to_do", is_empty ? "it was emptied: remove it"
                                 : "remove it: the password in it is not needed any more"}});
}

}  // namespace muster::admin
