#include "net/connect.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "net/socket_address.h"

namespace muster::net {
namespace {

std::unexpected<Error> unreachable(const Endpoint& to, int error) {
    return fail(ErrorKind::Unavailable, "temporarily unavailable",
                "cannot connect to " + to.text() + ": " + std::strerror(error));
}

void set_option(int fd, int level, int option) {
    constexpr int kOn = 1;
    setsockopt(fd, level, option, &kOn, sizeof kOn);
}

}  // namespace

// A loop outlives its tasks.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<Result<std::unique_ptr<SocketStream>>> connect(Loop& loop, Endpoint to,
                                                    std::optional<IpAddress> source, Duration limit,
                                                    StreamSet* under_way) {
    const SocketAddress address(to);
    const int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) co_return unreachable(to, errno);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE);
    if (source) {
        set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
        const SocketAddress from(Endpoint{*source, 0});
        if (bind(fd, from.data(), from.length) != 0) {
            const int error = errno;
            ::close(fd);
            co_return fail(
                ErrorKind::Unavailable, "temporarily unavailable",
                "cannot use source address " + source->text() + ": " + std::strerror(error));
        }
    }
    const int started = ::connect(fd, address.data(), address.length);
    const int start_error = errno;
    auto stream = std::make_unique<SocketStream>(loop, fd, started == 0);
    if (started != 0) {
        if (start_error != EINPROGRESS) co_return unreachable(to, start_error);
        stream->expire_after(limit);
        bool late = false;
        const StreamSet::Member member(under_way, *stream);
        try {
            co_await stream->ready(Direction::Write);
        } catch (const ConversationOver&) {
            late = true;
        }
        if (late) co_return unreachable(to, ETIMEDOUT);
        stream->expire_never();
        int error = 0;
        socklen_t length = sizeof error;
        if (stream->descriptor().failed()) {
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
        }
        if (error != 0) co_return unreachable(to, error);
    }
    co_return stream;
}

bool has_address(const IpAddress& address) {
    const SocketAddress wanted(Endpoint{address, 0});
    const int fd = socket(wanted.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool is_ours = fd >= 0 && bind(fd, wanted.data(), wanted.length) == 0;
    if (fd >= 0) ::close(fd);
    return is_ours;
}

bool accepts_connections(const Endpoint& endpoint) {
    const SocketAddress address(endpoint);
    const int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool accepted = fd >= 0 && ::connect(fd, address.data(), address.length) == 0;
    if (fd >= 0) ::close(fd);
    return accepted;
}

}  // namespace muster::net
