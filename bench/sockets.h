#pragma once
// Non-blocking TCP sockets for the load tools. A tool that cannot go on ends itself
// with a message: nothing here is meant to survive a failure.

#include <netinet/in.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace muster::bench {

/// Prints `what` and errno's text, and ends the program.
[[noreturn]] void die(std::string_view what);

/// Owns one file descriptor.
class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept;
    ~Fd() { reset(); }

    int get() const { return fd_; }
    void reset();

private:
    int fd_ = -1;
};

/// "127.0.0.1:143" → address; ends the program on anything else.
sockaddr_in parse_endpoint(std::string_view text);

/// A non-blocking listener on a loopback port that the kernel chooses.
Fd listen_loopback();
std::uint16_t local_port(const Fd& socket);

/// Next waiting connection, non-blocking and without delay; -1 when none waits.
Fd accept_from(const Fd& listener);

/// Starts a non-blocking connection, from `source` unless that is 0 (the port is chosen late).
Fd connect_later(const sockaddr_in& target, std::uint32_t source = 0);

}  // namespace muster::bench
