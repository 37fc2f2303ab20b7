#pragma once
// A TLS client and a plain server, joined through OpenSSL.

#include <cstddef>
#include <string>

#include "event_loop.h"
#include "tls.h"

namespace muster::bench {

/// Owns itself: ends when either side ends. Holds bytes only while a receiver is slower than its
/// sender.
class TlsPair final : public Watched {
public:
    static void start(EventLoop& loop, Fd client, Fd server, SSL_CTX* context);
    void ready(std::uint32_t events) override;

private:
    TlsPair(EventLoop& loop, Fd client, Fd server, SSL_CTX* context);
    bool handshake();
    bool client_to_server();
    bool server_to_client();
    bool send_to_client(const char* data, std::size_t size);
    bool send_to_server(const char* data, std::size_t size);
    bool again(int result) const;
    void close();

    EventLoop& loop_;
    Fd client_;
    Fd server_;
    Tls tls_;
    std::string for_client_;
    std::string for_server_;
};

}  // namespace muster::bench
