#include "sockets.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace muster::bench {

void die(std::string_view what) {
    std::fprintf(stderr, "%.*s: %s\n", static_cast<int>(what.size()), what.data(),
                 std::strerror(errno));
    std::exit(1);
}

Fd& Fd::operator=(Fd&& other) noexcept {
    if (this != &other) {
        reset();
        fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
}

void Fd::reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
}

sockaddr_in parse_endpoint(std::string_view text) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    const auto colon = text.rfind(':');
    const std::string host(text.substr(0, colon));
    if (colon == text.npos || inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1)
        die("not ADDRESS:PORT: " + std::string(text));
    const std::string port(text.substr(colon + 1));
    address.sin_port = htons(static_cast<std::uint16_t>(std::strtoul(port.c_str(), nullptr, 10)));
    return address;
}

namespace {

void no_delay(int fd) {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

const sockaddr* raw(const sockaddr_in& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace

Fd listen_loopback() {
    Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const sockaddr_in any = parse_endpoint("127.0.0.1:0");
    if (bind(listener.get(), raw(any), sizeof any) != 0) die("bind");
    if (listen(listener.get(), 4096) != 0) die("listen");
    return listener;
}

std::uint16_t local_port(const Fd& socket) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
        die("getsockname");
    return ntohs(address.sin_port);
}

Fd accept_from(const Fd& listener) {
    Fd client(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (client.get() >= 0)
        no_delay(client.get());
    else if (errno != EAGAIN && errno != ECONNABORTED)
        die("accept");
    return client;
}

Fd connect_later(const sockaddr_in& target, std::uint32_t source) {
    Fd out(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (out.get() < 0) die("socket");
    no_delay(out.get());
    if (source != 0) {
        const int late = 1;
        setsockopt(out.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof late);
        sockaddr_in from{};
        from.sin_family = AF_INET;
        from.sin_addr.s_addr = htonl(source);
        if (bind(out.get(), raw(from), sizeof from) != 0) die("bind a source address");
    }
    if (connect(out.get(), raw(target), sizeof target) != 0 && errno != EINPROGRESS) die("connect");
    return out;
}

}  // namespace muster::bench
