#pragma once
// Our side of the conversation with a server, until the client is logged in there.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/endpoint.h"
#include "base/task.h"
#include "cluster/entries.h"
#include "frontend/login.h"
#include "net/line_reader.h"
#include "net/socket_stream.h"
#include "wire/capabilities.h"
#include "wire/introduction.h"

namespace muster::frontend {

/// What a server said of itself last, so that the same words are not parsed for each connection.
struct KnownGreeting {
    std::string line;
    std::shared_ptr<const wire::Capabilities> capabilities;
};

/// How one service of one server is reached; made once a worker for each snapshot of the topology.
struct UpstreamTarget {
    ServerName server;
    cluster::ServerKind kind = cluster::ServerKind::Dovecot;
    cluster::Service service = cluster::Service::Imap;
    cluster::TlsMode tls = cluster::TlsMode::None;
    cluster::Introduce introduce = cluster::Introduce::Xclient;
    std::shared_ptr<const net::TlsClient> trust;  ///< null when tls is None
    std::string tls_name;
    mutable KnownGreeting greeting{};  ///< IMAP; the worker's thread only
};

/// A login as it goes to the server. Views must outlive begin().
struct UpstreamLogin {
    wire::Introduction introduction;
    wire::sasl::Mechanism mechanism;
    std::string_view message;  ///< the first SASL message, decoded
};

/// How far open() has come.
enum class OpenStep : std::uint8_t { Tls, Greeting, Capabilities };

/// One connection to one server. Waiting functions throw net::ConversationOver; the deadline on
/// the stream is the caller's (see allow()). Errors are about the server, never about the
/// credentials.
class Upstream {
public:
    Upstream(std::unique_ptr<net::SocketStream> stream,
             std::shared_ptr<const UpstreamTarget> target)
        : stream_(std::move(stream)), reader_(*stream_), target_(std::move(target)) {}
    Upstream(const Upstream&) = delete;
    Upstream& operator=(const Upstream&) = delete;
    virtual ~Upstream() = default;

    /// Reads the greeting, starts TLS as the target says, learns what the server can do. The
    /// connection may then wait for its client.
    Task<Result<>> open();
    /// While open() runs and after it has failed: what it is at.
    [[nodiscard]] OpenStep opening() const { return opening_; }
    /// After open(): asks what the server can do, whatever it has said of it before.
    virtual Task<Result<wire::Capabilities>> list_capabilities() = 0;
    /// Tells who the client is and starts the login, in one packet where the protocol allows it.
    virtual Task<Result<SaslStep>> begin(UpstreamLogin login) = 0;
    /// The client's answer (base64) to a challenge.
    virtual Task<Result<SaslStep>> answer(std::string base64) = 0;

    /// The next line is due within `first`; after it the login has `then`.
    void allow(net::Duration first, net::Duration then);
    /// No line has come since allow().
    [[nodiscard]] bool silent() const { return then_.has_value(); }
    /// After a failed begin(): the connection was gone, and not a byte of an answer came. A server
    /// that is silent may still be at the login.
    [[nodiscard]] bool was_gone() const;
    /// What the server said when it would not hear who the client is; empty while it did not.
    [[nodiscard]] const std::string& refusal() const { return refusal_; }
    /// begin() tells who the client is, and the server says at once whether it takes that.
    [[nodiscard]] virtual bool introduces() const = 0;
    /// The protocol's goodbye, without waiting; the connection is then of no more use.
    virtual void leave() {}

    [[nodiscard]] const ServerName& server() const { return target_->server; }
    [[nodiscard]] cluster::Service service() const { return target_->service; }
    [[nodiscard]] net::SocketStream& stream() { return *stream_; }
    /// After Accepted: what the server already said to the client, and the connection itself.
    [[nodiscard]] std::string take_rest() { return reader_.take_rest(); }
    [[nodiscard]] std::unique_ptr<net::SocketStream> release() { return std::move(stream_); }

protected:
    virtual Task<Result<>> read_greeting() = 0;
    /// Sends STARTTLS and reads the answer; the handshake is open()'s.
    virtual Task<Result<>> request_tls() = 0;
    /// Once encrypted: capabilities from before TLS are void (RFC 3501, 6.2.1).
    virtual Task<Result<>> learn_capabilities() = 0;

    /// A line of at most 16 KiB; its text is valid until the next one. A server that never comes
    /// to an end is cut off.
    Task<Result<std::string_view>> line();
    static std::unexpected<Error> broken(std::string_view what);
    /// As much as goes without waiting; whoever has left hears nothing.
    void say_last(std::string_view text);

    std::unique_ptr<net::SocketStream> stream_;
    net::LineReader reader_;
    std::shared_ptr<const UpstreamTarget> target_;
    unsigned lines_ = 0;  ///< read so far
    std::string refusal_;

private:
    Task<Result<>> start_tls();

    OpenStep opening_ = OpenStep::Greeting;
    std::optional<net::Duration> then_;
};

std::unique_ptr<Upstream> make_upstream(std::unique_ptr<net::SocketStream> stream,
                                        std::shared_ptr<const UpstreamTarget> target);

}  // namespace muster::frontend
