#include "backend/local_connect.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace muster::backend {

Result<std::unique_ptr<net::SocketStream>> connect_local(net::Loop& loop,
                                                         const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.native().size() >= sizeof address.sun_path)
        return fail(ErrorKind::Unavailable, "try again later", path.native() + ": path too long");
    std::ranges::copy(path.native(), address.sun_path);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return fail(ErrorKind::Io, "try again later", std::strerror(errno));
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        const std::string reason = path.native() + ": " + std::strerror(errno);
        ::close(fd);
        return fail(ErrorKind::Unavailable, "try again later", reason);
    }
    return std::make_unique<net::SocketStream>(loop, fd);
}

}  // namespace muster::backend
