#pragma once
// A client's session until it is logged in: the story that all protocols share.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "cluster/topology.h"
#include "frontend/login.h"
#include "frontend/settings.h"
#include "net/line_reader.h"
#include "net/socket_stream.h"
#include "wire/capabilities.h"

namespace muster::frontend {

class Upstream;

/// Who is on the other end, and where it came in.
struct Peer {
    Endpoint client;  ///< of the PROXY header where one was sent
    Endpoint local;
    SessionId session;
};

/// What a session needs from its worker.
class SessionHost {
public:
    virtual ~SessionHost() = default;

    [[nodiscard]] virtual const Limits& limits() const = 0;
    /// What is announced before login, as the protocol writes it, from what the servers can do.
    [[nodiscard]] virtual const std::string& announcement(cluster::Service service,
                                                          const wire::Offer& offer,
                                                          const cluster::LoginContext& context) = 0;
    /// Whether SCRAM, which signs the name that the client knows, works for all names that a
    /// connection may bring.
    [[nodiscard]] virtual bool scram_works(cluster::Service service,
                                           const cluster::LoginContext& context) = 0;
    /// The certificates of now; null when there are none.
    [[nodiscard]] virtual std::shared_ptr<const net::TlsServer> certificates() = 0;
    /// True when the node is being withdrawn: a session that is not logged in says goodbye.
    [[nodiscard]] virtual bool draining() const = 0;
};

/// Identifies a client: one protocol's greeting, commands before login, and answers. Lives on its
/// worker's thread, from accept until the hand-over; the pump outlives it.
class ClientSession {
protected:
    static constexpr std::string_view kTooManyCommands = "too many commands before login";
    static constexpr std::string_view kBadLine = "a line too long, or with bytes that are no text";

public:
    ClientSession(SessionHost& host, const ListenerSettings& listener, net::SocketStream& client,
                  const Peer& peer)
        : host_(host), listener_(listener), client_(client), reader_(client), peer_(peer) {}
    ClientSession(const ClientSession&) = delete;
    ClientSession& operator=(const ClientSession&) = delete;
    virtual ~ClientSession() = default;

    virtual Task<void> greet() = 0;
    /// Serves commands until one logs in; empty when the client left or was sent away.
    virtual Task<std::optional<Login>> identify() = 0;
    /// Sends a challenge (base64) and reads the answer (base64); empty when it was cancelled or
    /// the client left.
    virtual Task<std::optional<std::string>> ask(std::string_view challenge) = 0;
    /// Brings the client the last server message (base64) of an exchange that succeeded. What goes
    /// in front of welcome()'s text where the protocol carries it there; empty when the client
    /// cancelled or left.
    virtual Task<std::optional<std::string>> conclude(std::string last);
    /// The protocol's success line; `text` as the upstream gave it.
    [[nodiscard]] virtual std::string welcome(const Login& login, std::string_view text) const = 0;
    /// The one place where this protocol turns an Error into an answer.
    [[nodiscard]] virtual std::string refusal(const Login& login, const Error& error) const = 0;
    /// The last words to a client whose session ends before it logged in.
    [[nodiscard]] virtual std::string farewell(net::EndReason reason) const = 0;
    /// To a client that may come back later.
    [[nodiscard]] virtual std::string turned_away(std::string_view text) const = 0;

    /// What the client sent ahead of our answer; goes to its server.
    [[nodiscard]] std::string take_rest() { return reader_.take_rest(); }
    [[nodiscard]] net::SocketStream& client() { return client_; }
    /// What the connection says of the domain of names without one. `tls_name` must outlive it.
    [[nodiscard]] cluster::LoginContext context(std::string_view tls_name) const;

protected:
    /// Turns AUTH/AUTHENTICATE with an optional initial response (base64) into a Login, asking
    /// for what is missing. The Error is for the client (Syntax: also when it cancelled).
    Task<Result<Login>> read_sasl(wire::sasl::AuthRequest request);
    /// LOGIN or USER/PASS as a Login.
    static Result<Login> from_password(std::string_view user, std::string_view password);

    /// Runs the handshake that a STARTTLS has begun. What the client sent ahead of it in clear is
    /// forgotten (RFC 3207, 4.2). False: it failed, the conversation is over.
    Task<bool> start_tls();
    [[nodiscard]] bool can_start_tls() const;
    /// Passwords may be sent: the connection is encrypted, or the listener allows clear text.
    [[nodiscard]] bool passwords_allowed() const;
    [[nodiscard]] wire::Offer offer() const;
    /// What the client is told before login, as the protocol writes it.
    [[nodiscard]] const std::string& announcement() const;
    /// Counts a command; false when the client has had enough of them.
    [[nodiscard]] bool count_command();
    /// Says farewell to a client that broke a bound, and why in the log.
    Task<void> send_away(std::string farewell, std::string_view why);

    SessionHost& host_;
    const ListenerSettings& listener_;
    net::SocketStream& client_;
    net::LineReader reader_;
    const Peer& peer_;

private:
    Task<Result<Login>> read_login_mechanism(std::optional<std::string> user);

    std::size_t commands_ = 0;
};

}  // namespace muster::frontend
