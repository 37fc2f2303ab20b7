#include "tls.h"

#include "sockets.h"

namespace muster::bench {
namespace {

TlsContext context_of(const SSL_METHOD* method) {
    TlsContext context(SSL_CTX_new(method));
    SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return context;
}

}  // namespace

TlsContext client_context() { return context_of(TLS_client_method()); }

TlsContext server_context(const std::string& certificate_file, const std::string& key_file) {
    TlsContext context = context_of(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(context.get(), certificate_file.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1)
        die("certificate or key " + certificate_file);
    return context;
}

Tls tls_on(SSL_CTX* context, int fd) {
    Tls session(SSL_new(context));
    SSL_set_fd(session.get(), fd);
    return session;
}

}  // namespace muster::bench
