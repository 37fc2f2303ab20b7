#pragma once
// Sockets that accept connections.

#include <filesystem>
#include <functional>
#include <memory>

#include "base/endpoint.h"
#include "base/error.h"
#include "net/descriptor.h"

namespace muster::net {

/// A connection that was just accepted: a non-blocking socket the receiver now owns.
struct Accepted {
    int fd;
    Endpoint peer;  ///< `::`:0 for unix sockets
};

/// Accepts on one loop's thread. Each worker has its own on the same endpoint (SO_REUSEPORT).
/// When the process has no descriptor left it pauses and says so in the log.
class Listener final : private WaitOp, private Timer {
public:
    using OnAccepted = std::function<void(Accepted)>;

    /// Listens at once; port 0 lets the kernel choose (see local()).
    static Result<std::unique_ptr<Listener>> tcp(Loop& loop, const Endpoint& endpoint,
                                                 OnAccepted on_accepted);
    /// A unix socket; a stale one at `path` is replaced, a living one refused.
    static Result<std::unique_ptr<Listener>> local_socket(Loop& loop,
                                                          const std::filesystem::path& path,
                                                          unsigned mode, OnAccepted on_accepted);
    /// Takes over a listening socket (passed on by another process or bound beforehand).
    Listener(Loop& loop, int fd, OnAccepted on_accepted);
    ~Listener();

    [[nodiscard]] Endpoint local() const;
    /// Stops accepting; what was accepted is not touched. Destroy the listener only after its
    /// loop has turned once more (or stopped).
    void close();

private:
    void ready() override;
    void expired() override { wait(); }
    void wait();

    Descriptor descriptor_;
    OnAccepted on_accepted_;
    std::filesystem::path path_;
};

/// A bound and listening TCP socket with SO_REUSEPORT; says in an operator's words what is wrong.
Result<int> listen_tcp(const Endpoint& endpoint);

/// Our own address of a connected socket; `::`:0 when it has none.
Endpoint local_endpoint(int fd);

}  // namespace muster::net
