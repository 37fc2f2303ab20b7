#include "tls_pair.h"

#include <openssl/err.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace muster::bench {
namespace {

std::array<char, 64U * 1024U> scratch;

}  // namespace

void TlsPair::start(EventLoop& loop, Fd client, Fd server, SSL_CTX* context) {
    new TlsPair(loop, std::move(client), std::move(server), context);
}

TlsPair::TlsPair(EventLoop& loop, Fd client, Fd server, SSL_CTX* context)
    : loop_(loop),
      client_(std::move(client)),
      server_(std::move(server)),
      tls_(tls_on(context, client_.get())) {
    SSL_set_accept_state(tls_.get());
    loop_.add(client_.get(), EPOLLIN | EPOLLOUT | EPOLLET, this);
    loop_.add(server_.get(), EPOLLIN | EPOLLOUT | EPOLLET, this);
}

void TlsPair::ready(std::uint32_t) {
    if (client_.get() < 0) return;  // closed earlier in this round
    if (!handshake() || !client_to_server() || !server_to_client()) close();
}

bool TlsPair::again(int result) const {
    const int error = SSL_get_error(tls_.get(), result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

bool TlsPair::handshake() {
    if (SSL_is_init_finished(tls_.get())) return true;
    ERR_clear_error();
    const int result = SSL_do_handshake(tls_.get());
    return result == 1 || again(result);
}

bool TlsPair::client_to_server() {
    if (!SSL_is_init_finished(tls_.get())) return true;
    if (!for_server_.empty()) {
        const std::string waiting = std::exchange(for_server_, {});
        if (!send_to_server(waiting.data(), waiting.size())) return false;
    }
    while (for_server_.empty()) {
        ERR_clear_error();
        const int got = SSL_read(tls_.get(), scratch.data(), static_cast<int>(scratch.size()));
        if (got <= 0) return again(got);
        if (!send_to_server(scratch.data(), static_cast<std::size_t>(got))) return false;
    }
    return true;
}

bool TlsPair::server_to_client() {
    if (!SSL_is_init_finished(tls_.get())) return true;
    if (!for_client_.empty()) {
        const std::string waiting = std::exchange(for_client_, {});
        if (!send_to_client(waiting.data(), waiting.size())) return false;
    }
    while (for_client_.empty()) {
        const ssize_t got = recv(server_.get(), scratch.data(), scratch.size(), 0);
        if (got < 0) return errno == EAGAIN || errno == ENOTCONN;
        if (got == 0) return false;
        if (!send_to_client(scratch.data(), static_cast<std::size_t>(got))) return false;
    }
    return true;
}

bool TlsPair::send_to_client(const char* data, std::size_t size) {
    while (size > 0) {
        ERR_clear_error();
        const int sent = SSL_write(tls_.get(), data, static_cast<int>(size));
        if (sent <= 0) {
            if (!again(sent)) return false;
            for_client_.assign(data, size);
            return true;
        }
        data += sent;
        size -= static_cast<std::size_t>(sent);
    }
    return true;
}

bool TlsPair::send_to_server(const char* data, std::size_t size) {
    const ssize_t sent = ::send(server_.get(), data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != ENOTCONN) return false;
    const std::size_t done = sent < 0 ? 0 : static_cast<std::size_t>(sent);
    if (done < size) for_server_.assign(data + done, size - done);
    return true;
}

void TlsPair::close() {
    tls_.reset();
    client_.reset();
    server_.reset();
    loop_.retire(std::unique_ptr<Watched>(this));
}

}  // namespace muster::bench
