#include "net/bound_ahead.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <vector>

#include "net/socket_address.h"

namespace muster::net {
namespace {

struct Bound {
    Endpoint endpoint;
    int fd;
};

/// Lives as long as the process: a port that was given back could not be bound again.
struct BoundAhead {
    std::mutex mutex;
    std::vector<Bound> sockets;
};

BoundAhead& bound_ahead() {
    static BoundAhead all;
    return all;
}

void set_option(int fd, int level, int option, int value) {
    setsockopt(fd, level, option, &value, sizeof value);
}

bool is_listening(int fd) {
    int listening = 0;
    socklen_t length = sizeof listening;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening != 0;
}

}  // namespace

Result<int> bind_tcp(const Endpoint& endpoint) {
    const SocketAddress address(endpoint);
    const int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return fail(ErrorKind::Io, "not available", std::string("socket: ") + std::strerror(errno));
    }
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    // Accepted sockets inherit these two.
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (bind(fd, address.data(), address.length) == 0) return fd;
    auto failure = fail(ErrorKind::Io, "not available",
                        "cannot listen on " + endpoint.text() + ": " + std::strerror(errno));
    ::close(fd);
    return failure;
}

Result<> bind_ahead(const Endpoint& endpoint, std::size_t count) {
    BoundAhead& all = bound_ahead();
    const std::scoped_lock lock(all.mutex);
    for (std::size_t i = 0; i < count; ++i) {
        const auto fd = bind_tcp(endpoint);
        if (!fd) return std::unexpected(fd.error());
        all.sockets.push_back({endpoint, *fd});
    }
    return {};
}

std::optional<int> listen_bound_ahead(const Endpoint& endpoint) {
    BoundAhead& all = bound_ahead();
    const std::scoped_lock lock(all.mutex);
    for (const Bound& bound : all.sockets) {
        if (bound.endpoint != endpoint || is_listening(bound.fd)) continue;
        if (::listen(bound.fd, kBacklog) != 0) continue;
        const int fd = ::fcntl(bound.fd, F_DUPFD_CLOEXEC, 0);
        if (fd >= 0) return fd;
        ::shutdown(bound.fd, SHUT_RD);
    }
    return std::nullopt;
}

}  // namespace muster::net
