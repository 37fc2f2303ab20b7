#include "net/socket_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <cctype>
#include <cerrno>
#include <ctime>

#include "net/socket_bio.h"

namespace muster::net {
SocketStream::~SocketStream() {
    if (!tls_ || descriptor_.ended() == EndReason::TlsFailed) return;
    // close_notify, as far as it fits into the socket's buffer: nobody waits for the peer's.
    const bool is_sent = (SSL_get_shutdown(tls_.get()) & SSL_SENT_SHUTDOWN) != 0;
    if (SSL_is_init_finished(tls_.get()) && !is_sent) SSL_shutdown(tls_.get());
}

Attempt SocketStream::try_read(std::span<char> into) {
    descriptor_.throw_if_ended();
    if (tls_) {
        if (!descriptor_.promising(Direction::Read) && SSL_has_pending(tls_.get()) == 0) {
            return {Attempt::State::WantRead};
        }
        ERR_clear_error();  // what another session left on this thread's queue
        return tls_outcome(SSL_read(tls_.get(), into.data(), static_cast<int>(into.size())));
    }
    if (!descriptor_.promising(Direction::Read)) return {Attempt::State::WantRead};
    return plain_outcome(recv(descriptor_.fd(), into.data(), into.size(), 0), into.size(),
                         Direction::Read);
}

Attempt SocketStream::try_write(std::string_view data) {
    descriptor_.throw_if_ended();
    if (tls_) {
        ERR_clear_error();
        const MoreFollows more(data.size() > SSL3_RT_MAX_PLAIN_LENGTH);
        return tls_outcome(SSL_write(tls_.get(), data.data(), static_cast<int>(data.size())));
    }
    if (!descriptor_.promising(Direction::Write)) return {Attempt::State::WantWrite};
    return plain_outcome(send(descriptor_.fd(), data.data(), data.size(), MSG_NOSIGNAL),
                         data.size(), Direction::Write);
}

Attempt SocketStream::plain_outcome(ssize_t result, std::size_t wanted, Direction direction) {
    if (result > 0) {
        const auto moved = static_cast<std::size_t>(result);
        if (moved < wanted) descriptor_.exhausted(direction);
        return {Attempt::State::Moved, moved};
    }
    if (result == 0) return {Attempt::State::End};
    if (errno == EAGAIN || errno == EWOULDBLOCK) return blocked(direction);
    if (errno == EINTR) {
        return {direction == Direction::Read ? Attempt::State::WantRead
                                             : Attempt::State::WantWrite};
    }
    throw ConversationOver(EndReason::PeerGone);
}

Attempt SocketStream::blocked(Direction direction) {
    descriptor_.exhausted(direction);
    return {direction == Direction::Read ? Attempt::State::WantRead : Attempt::State::WantWrite};
}

Attempt SocketStream::tls_outcome(int result) {
    if (result > 0) return {Attempt::State::Moved, static_cast<std::size_t>(result)};
    switch (SSL_get_error(tls_.get(), result)) {
        case SSL_ERROR_WANT_READ: return blocked(Direction::Read);
        case SSL_ERROR_WANT_WRITE: return blocked(Direction::Write);
        case SSL_ERROR_ZERO_RETURN: return {Attempt::State::End};
        default: break;
    }
    const bool reset = errno == ECONNRESET || errno == EPIPE;
    descriptor_.abort(EndReason::TlsFailed);
    throw ConversationOver(reset ? EndReason::PeerGone : EndReason::TlsFailed);
}

void SocketStream::give_up_unacknowledged(Duration after) {
    const auto milliseconds = static_cast<unsigned>(after.count());
    ::setsockopt(descriptor_.fd(), IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds,
                 sizeof milliseconds);
}

void SocketStream::keep_buffers(bool keep) {
    if (!tls_) return;
    if (keep) {
        SSL_clear_mode(tls_.get(), SSL_MODE_RELEASE_BUFFERS);
        return;
    }
    SSL_set_mode(tls_.get(), SSL_MODE_RELEASE_BUFFERS);
    SSL_free_buffers(tls_.get());  // what is in use now is given back after its next record
}

Task<void> SocketStream::ready(Direction direction) { co_await descriptor_.ready(direction); }

void SocketStream::shutdown_write() {
    if (tls_) SSL_shutdown(tls_.get());
    ::shutdown(descriptor_.fd(), SHUT_WR);
}

// Whoever awaits the handshake holds the certificates.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<Result<>> SocketStream::accept_tls(const TlsServer& server) {
    tls_ = server.session(descriptor_.fd());
    if (!descriptor_.promising(Direction::Read)) co_await descriptor_.ready(Direction::Read);
    co_return co_await handshake();
}

Task<Result<>> SocketStream::connect_tls(const TlsClient& client, std::string name) {
    tls_ = client.session(descriptor_.fd(), name);
    if (auto done = co_await handshake(); !done) co_return std::unexpected(done.error());
    if (client.trust().kind == TlsTrust::Kind::Pin && peer_pin() != client.trust().pin) {
        descriptor_.abort(EndReason::TlsFailed);
        co_return fail(ErrorKind::Refused, "TLS failed",
                       "the peer's key " + peer_pin() + " is not the pinned one");
    }
    co_return Result<>{};
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<Result<>> SocketStream::handshake() {
    for (;;) {
        descriptor_.throw_if_ended();
        ERR_clear_error();
        const int result = SSL_do_handshake(tls_.get());
        if (result == 1) co_return Result<>{};
        const int error = SSL_get_error(tls_.get(), result);
        if (error == SSL_ERROR_WANT_READ) {
            descriptor_.exhausted(Direction::Read);
            co_await descriptor_.ready(Direction::Read);
        } else if (error == SSL_ERROR_WANT_WRITE) {
            descriptor_.exhausted(Direction::Write);
            co_await descriptor_.ready(Direction::Write);
        } else {
            std::string why = tls_errors();
            if (const long verdict = SSL_get_verify_result(tls_.get()); verdict != X509_V_OK) {
                why += std::string("; ") + X509_verify_cert_error_string(verdict);
            }
            descriptor_.abort(EndReason::TlsFailed);
            co_return fail(ErrorKind::Refused, "TLS failed", "TLS handshake: " + why);
        }
    }
}

std::string SocketStream::tls_server_name() const {
    const char* name = tls_ ? SSL_get_servername(tls_.get(), TLSEXT_NAMETYPE_host_name) : nullptr;
    std::string text = name == nullptr ? "" : name;
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

std::string SocketStream::peer_pin() const {
    X509* certificate = tls_ ? SSL_get1_peer_certificate(tls_.get()) : nullptr;
    if (certificate == nullptr) return {};
    unsigned char* der = nullptr;
    const int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    std::string pin;
    if (length > 0) {
        pin = public_key_pin({reinterpret_cast<char*>(der), static_cast<std::size_t>(length)});
    }
    OPENSSL_free(der);
    X509_free(certificate);
    return pin;
}

std::optional<std::chrono::system_clock::time_point> SocketStream::peer_certificate_end() const {
    const X509* certificate = tls_ ? SSL_get0_peer_certificate(tls_.get()) : nullptr;
    std::tm parts{};
    if (certificate == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1) {
        return std::nullopt;
    }
    return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

std::string SocketStream::tls_description() const {
    if (!tls_) return {};
    return std::string(SSL_get_version(tls_.get())) + "/" + SSL_get_cipher_name(tls_.get());
}

}  // namespace muster::net
