#pragma once
// TLS 1.3 contexts for the tools: full handshakes, OpenSSL's own order of key exchanges (X25519
// first), no verification (all is loopback).

#include <openssl/ssl.h>

#include <memory>
#include <string>

namespace muster::bench {

struct TlsDeleter {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL* session) const { SSL_free(session); }
};
using TlsContext = std::unique_ptr<SSL_CTX, TlsDeleter>;
using Tls = std::unique_ptr<SSL, TlsDeleter>;

TlsContext client_context();
TlsContext server_context(const std::string& certificate_file, const std::string& key_file);

/// A TLS session on `fd`, which stays the caller's.
Tls tls_on(SSL_CTX* context, int fd);

}  // namespace muster::bench
