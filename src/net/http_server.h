#pragma once
// HTTP/1.1 for administration and the cluster port: coroutines on a Stream, bounded everywhere.

#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "net/http_message.h"
#include "net/listener.h"
#include "net/socket_stream.h"

namespace muster::net {

struct HttpLimits {
    std::uint32_t header_bytes = 16 * 1024;
    std::size_t connections = 1024;             ///< of each port, local sockets apart
    std::size_t connections_per_address = 128;  ///< of each port
    Duration header_time{10'000};  ///< for a request's whole head, once its first byte is there
    Duration idle_time{60'000};    ///< between two requests
    Duration piece_time{30'000};   ///< without a byte of a body, or room for one
};

/// One request and its answer. Lives on the connection's thread, no longer than its handler runs.
/// Waiting functions throw ConversationOver when the client is gone or too slow.
class HttpExchange {
public:
    [[nodiscard]] const HttpRequest& request() const { return request_; }

    /// The whole body; ErrorKind::Limit when it is larger than `limit`, Syntax when it is broken.
    virtual Task<Result<std::string>> body(std::size_t limit) = 0;
    /// The next bytes of the body; empty at its end.
    virtual Task<Result<std::string>> next_piece() = 0;

    /// A whole answer. Exactly one of respond() and begin() … finish() must be called.
    virtual Task<void> respond(HttpResponse response) = 0;
    /// An answer of unknown length (chunked): begin, any number of pieces, finish.
    virtual Task<void> begin(HttpResponse head) = 0;
    virtual Task<void> send(std::string_view piece) = 0;
    virtual Task<void> finish() = 0;
    [[nodiscard]] virtual bool answered() const = 0;

    /// Waits for `duration`, wake() or the end of the server, whichever is first.
    virtual Task<void> pause(Duration duration) = 0;
    /// Ends a pause; also one that has not begun yet. On the loop's thread only.
    virtual void wake() = 0;
    /// The client may be gone: what its machine has not acknowledged for `limit` ends the exchange
    /// from now on. On the loop's thread only.
    virtual void doubt(Duration limit) = 0;

protected:
    explicit HttpExchange(HttpRequest request) : request_(std::move(request)) {}
    ~HttpExchange() = default;
    HttpRequest request_;
};

/// Accepts and serves on one loop's thread. The handler may suspend; it answers each exchange.
class HttpServer {
public:
    using Handler = std::function<Task<void>(HttpExchange&)>;
    /// Whether a client at that address may connect at all.
    using Admission = std::function<bool(const IpAddress&)>;

    HttpServer(Loop& loop, HttpLimits limits, Handler handler);
    ~HttpServer();

    /// `tls` may be empty. Port 0 lets the kernel choose; the endpoint in use is returned.
    Result<Endpoint> listen(const Endpoint& endpoint, std::shared_ptr<const TlsServer> tls,
                            Admission admission = {});
    /// The same on a socket that is listening already.
    Endpoint listen(int fd, std::shared_ptr<const TlsServer> tls, Admission admission = {});
    /// A unix socket that only the user of the process may open.
    Result<> listen_local(const std::filesystem::path& path);
    /// New connections of TLS listeners use `tls`.
    void replace_tls(const std::shared_ptr<const TlsServer>& tls);

    /// Stops accepting, aborts what runs, and returns when all of it has ended.
    Task<void> close();

private:
    struct Port;
    class Connection;

    Task<void> serve(Port& port, Accepted accepted);
    Task<void> converse(SocketStream& stream, const Port& port, Accepted accepted);
    void accept(Port& port, Accepted accepted);

    Loop& loop_;
    HttpLimits limits_;
    Handler handler_;
    std::vector<std::unique_ptr<Port>> ports_;
    std::set<SocketStream*> open_;
    std::set<Connection*> connections_;
    TaskGroup tasks_;
    bool closing_ = false;
};

}  // namespace muster::net
