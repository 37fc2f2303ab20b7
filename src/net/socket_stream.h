#pragma once
// A Stream on a connected socket, with or without TLS.

#include <chrono>
#include <memory>
#include <string>

#include "net/stream.h"
#include "net/tls.h"

namespace muster::net {

/// Owns the socket. TLS, once started, works on the socket itself; OpenSSL gives its record
/// buffers back whenever they are empty, unless told to keep them: an idle session holds none.
class SocketStream final : public Stream {
public:
    /// Takes over a non-blocking socket; `connected` is false while connect(2) is in progress.
    SocketStream(Loop& loop, int fd, bool connected = true) : descriptor_(loop, fd, connected) {}
    ~SocketStream() override;

    Attempt try_read(std::span<char> into) override;
    Attempt try_write(std::string_view data) override;
    Task<void> ready(Direction direction) override;
    void shutdown_write() override;
    void abort(EndReason reason) override { descriptor_.abort(reason); }
    void expire_after(Duration duration) override { descriptor_.expire_after(duration); }
    void expire_never() override { descriptor_.expire_never(); }
    [[nodiscard]] bool encrypted() const override { return tls_ != nullptr; }
    /// What the peer's machine has not acknowledged for so long ends the connection like a reset
    /// (RFC 5482); 0: when the kernel gives up. A machine that is only slow acknowledges.
    void give_up_unacknowledged(Duration after);
    /// Whether OpenSSL keeps its record buffers when they are empty: while much is moved, to get
    /// and give them back for each record costs more than it saves.
    void keep_buffers(bool keep);

    /// The server's side of a handshake. An error says why it failed; the stream is then useless.
    Task<Result<>> accept_tls(const TlsServer& server);
    /// The client's side; verifies the peer as `client` says. `name` is the server's name, sent as
    /// SNI and matched against the certificate (RFC 9525).
    Task<Result<>> connect_tls(const TlsClient& client, std::string name);

    /// What the TLS client asked for (SNI, RFC 6066), lower case; empty without.
    [[nodiscard]] std::string tls_server_name() const;
    /// `sha256//BASE64` of the peer's public key; empty when it showed no certificate.
    [[nodiscard]] std::string peer_pin() const;
    /// When the certificate that the peer showed ends; empty when it showed none.
    [[nodiscard]] std::optional<std::chrono::system_clock::time_point> peer_certificate_end() const;
    /// Protocol and cipher for the log, e.g. "TLSv1.3/TLS_AES_128_GCM_SHA256".
    [[nodiscard]] std::string tls_description() const;

    [[nodiscard]] Descriptor& descriptor() { return descriptor_; }

private:
    Task<Result<>> handshake();
    Attempt plain_outcome(ssize_t result, std::size_t wanted, Direction direction);
    Attempt tls_outcome(int result);
    /// OpenSSL's wish to read or write, which it has found impossible just now.
    Attempt blocked(Direction direction);

    Descriptor descriptor_;
    TlsSession tls_;
};

}  // namespace muster::net
