#include "net/listener.h"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "net/bound_ahead.h"
#include "net/socket_address.h"

namespace muster::net {
namespace {

constexpr int kAcceptsATurn = 32;
constexpr Duration kPauseWithoutDescriptors{1000};

/// Errors of the connection that would have been accepted, not of the listener (accept(2)).
bool concerns_one_peer(int error) {
    switch (error) {
        case ECONNABORTED:
        case EINTR:
        case EPROTO:
        case ENOPROTOOPT:
        case EHOSTDOWN:
        case ENONET:
        case EHOSTUNREACH:
        case EOPNOTSUPP:
        case ENETDOWN:
        case ENETUNREACH:
        case EPERM: return true;
        default: return false;
    }
}

std::unexpected<Error> system_failure(const std::string& what) {
    return fail(ErrorKind::Io, "not available", what + ": " + std::strerror(errno));
}

/// A socket that somebody answers on.
bool is_alive(const sockaddr_un& address) {
    const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool alive =
        connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(probe);
    return alive;
}

}  // namespace

Result<int> listen_tcp(const Endpoint& endpoint) {
    if (const auto ready = listen_bound_ahead(endpoint)) return *ready;
    const auto fd = bind_tcp(endpoint);
    if (!fd || listen(*fd, kBacklog) == 0) return fd;
    auto failure = system_failure("cannot listen on " + endpoint.text());
    ::close(*fd);
    return failure;
}

Endpoint local_endpoint(int fd) {
    SocketAddress address;
    if (getsockname(fd, address.data(), &address.length) != 0) return {};
    return address.endpoint();
}

Result<std::unique_ptr<Listener>> Listener::tcp(Loop& loop, const Endpoint& endpoint,
                                                OnAccepted on_accepted) {
    const auto fd = listen_tcp(endpoint);
    if (!fd) return std::unexpected(fd.error());
    return std::make_unique<Listener>(loop, *fd, std::move(on_accepted));
}

Result<std::unique_ptr<Listener>> Listener::local_socket(Loop& loop,
                                                         const std::filesystem::path& path,
                                                         unsigned mode, OnAccepted on_accepted) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.native().size() >= sizeof address.sun_path) {
        return fail(ErrorKind::Io, "not available",
                    "the path of a unix socket may have 107 bytes: " + path.native());
    }
    std::memcpy(address.sun_path, path.c_str(), path.native().size());
    if (is_alive(address)) {
        return fail(ErrorKind::Conflict, "not available",
                    path.native() + " is in use: does this node run already?");
    }
    unlink(path.c_str());
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    // Nobody connects before listen(), so the mode is right before it matters.
    if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        chmod(path.c_str(), mode) != 0 || listen(fd, kBacklog) != 0) {
        auto failure = system_failure("cannot listen on " + path.native());
        ::close(fd);
        return failure;
    }
    auto listener = std::make_unique<Listener>(loop, fd, std::move(on_accepted));
    listener->path_ = path;
    return listener;
}

Listener::Listener(Loop& loop, int fd, OnAccepted on_accepted)
    : descriptor_(loop, fd), on_accepted_(std::move(on_accepted)) {
    wait();
}

Listener::~Listener() {
    descriptor_.leave();  // the socket itself may outlive us: see net/bound_ahead.h
    if (!path_.empty()) unlink(path_.c_str());
}

Endpoint Listener::local() const { return local_endpoint(descriptor_.fd()); }

void Listener::close() {
    descriptor_.abort(EndReason::Draining);
    disarm();
    // Who connects from now on is refused at once, and not left waiting in the backlog.
    ::shutdown(descriptor_.fd(), SHUT_RD);
}

void Listener::wait() { descriptor_.wait(Direction::Read, *this); }

void Listener::ready() {
    if (descriptor_.ended() != EndReason::None) return;
    for (int i = 0; i < kAcceptsATurn; ++i) {
        SocketAddress peer;
        const int fd =
            accept4(descriptor_.fd(), peer.data(), &peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            on_accepted_({fd, peer.endpoint()});
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            descriptor_.exhausted(Direction::Read);
            break;
        }
        if (concerns_one_peer(errno)) continue;
        log::error("accept-paused", {{"listener", local().text()},
                                     {"reason", std::strerror(errno)},
                                     {"hint", "raise the limit of open files"}});
        return descriptor_.loop().arm(*this, kPauseWithoutDescriptors);
    }
    wait();
}

}  // namespace muster::net
