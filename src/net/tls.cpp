#include "net/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "base/seal.h"
#include "net/socket_bio.h"
#include "net/tls_tickets.h"

namespace muster::net {
namespace {

constexpr const char* kCipherSuites =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

template <auto Function>
struct Freed {
    template <typename T>
    void operator()(T* object) const {
        Function(object);
    }
};
using Bio = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using X509Ptr = std::unique_ptr<X509, Freed<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;

Bio memory(const std::string& text) {
    return Bio{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
}

std::unexpected<Error> tls_failure(std::string what) {
    return fail(ErrorKind::Refused, "TLS is not available", std::move(what) + ": " + tls_errors());
}

void common_options(SSL_CTX* context) {
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);  // header and body of a record in one system call
}

/// A session that is taken up again would skip the proof of the keys.
void hide_nothing(SSL_CTX* context) {
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(context, kSignedOnly);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
}

/// Puts chain and key into `context`.
Result<> use_certificate(SSL_CTX* context, const TlsCertificate& certificate) {
    const Bio chain = memory(certificate.chain);
    const X509Ptr leaf{PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr)};
    if (!leaf) return tls_failure("cannot read the certificate");
    if (SSL_CTX_use_certificate(context, leaf.get()) != 1) return tls_failure("certificate");
    while (X509* issuer = PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr)) {
        SSL_CTX_add0_chain_cert(context, issuer);
    }
    ERR_clear_error();
    const Bio key_text = memory(certificate.key);
    const KeyPtr key{PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr)};
    if (!key) return tls_failure("cannot read the private key");
    if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
        return tls_failure("the private key does not belong to the certificate");
    }
    return {};
}

std::string lower(std::string_view text) {
    std::string result(text);
    std::ranges::transform(result, result.begin(), [](unsigned char c) { return std::tolower(c); });
    return result;
}

std::vector<std::string> subject_names(const TlsCertificate& certificate) {
    std::vector<std::string> names;
    const Bio chain = memory(certificate.chain);
    const X509Ptr leaf{PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr)};
    auto* alternatives = static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(leaf.get(), NID_subject_alt_name, nullptr, nullptr));
    for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives, i);
        if (name->type != GEN_DNS) continue;
        names.push_back(
            lower({reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                   static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName))}));
    }
    GENERAL_NAMES_free(alternatives);
    return names;
}

/// The host name that a client asks for, while its first message is read; empty: none. RFC 6066, 3:
/// lengths of 16 bits of the list and of each name, and between them one byte for its type.
std::string server_name(SSL* session) {
    const unsigned char* data = nullptr;
    std::size_t size = 0;
    constexpr std::size_t kHead = 5;
    if (SSL_client_hello_get0_ext(session, TLSEXT_TYPE_server_name, &data, &size) != 1) return {};
    if (size <= kHead || data[2] != TLSEXT_NAMETYPE_host_name) return {};
    const std::size_t list = (std::size_t{data[0]} << 8U) | data[1];
    const std::size_t name = (std::size_t{data[3]} << 8U) | data[4];
    if (list + 2 != size || name + kHead != size) return {};  // OpenSSL refuses what is no list
    return {reinterpret_cast<const char*>(data + kHead), name};
}

int accept_any(int, X509_STORE_CTX*) { return 1; }

}  // namespace

void TlsSessionDeleter::operator()(ssl_st* session) const { SSL_free(session); }
void TlsContextDeleter::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }

struct TlsServer::Impl {
    /// What a server name leads to.
    struct Choice {
        SSL_CTX* context;
        std::string session_context;  ///< sessions are resumed under the same one only
    };
    std::shared_ptr<const TicketKeys> tickets;
    std::vector<TlsContext> contexts;
    std::map<std::string, Choice, std::less<>> by_name;

    [[nodiscard]] const Choice* find(std::string_view name) const {
        if (auto found = by_name.find(name); found != by_name.end()) return &found->second;
        const std::size_t dot = name.find('.');
        if (dot == std::string_view::npos) return nullptr;
        const auto wildcard = by_name.find("*" + std::string(name.substr(dot)));
        return wildcard == by_name.end() ? nullptr : &wildcard->second;
    }

    /// Before a ticket is looked at, which the callback for server names is too late for.
    static int choose(SSL* session, int*, void* self) {
        const std::string name = server_name(session);
        const Choice* choice =
            name.empty() ? nullptr : static_cast<const Impl*>(self)->find(lower(name));
        if (choice == nullptr) return SSL_CLIENT_HELLO_SUCCESS;
        SSL_set_SSL_CTX(session, choice->context);
        const std::string& context = choice->session_context;
        SSL_set_session_id_context(session, reinterpret_cast<const unsigned char*>(context.data()),
                                   static_cast<unsigned>(context.size()));
        return SSL_CLIENT_HELLO_SUCCESS;
    }

    static int acknowledge(SSL* session, int*, void*) {
        const char* name = SSL_get_servername(session, TLSEXT_NAMETYPE_host_name);
        return name == nullptr ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_OK;
    }
};

TlsServer::TlsServer() : impl_(std::make_unique<Impl>()) {}
TlsServer::~TlsServer() = default;

Result<std::shared_ptr<const TlsServer>> TlsServer::create(
    const std::vector<TlsCertificate>& certificates, TlsVersion minimum,
    bool ask_client_certificate, std::shared_ptr<const TicketKeys> tickets) {
    if (certificates.empty()) return fail(ErrorKind::Refused, "no certificate is configured");
    std::shared_ptr<TlsServer> server{new TlsServer};
    server->impl_->tickets = std::move(tickets);
    for (const TlsCertificate& certificate : certificates) {
        TlsContext context{SSL_CTX_new(TLS_server_method())};
        common_options(context.get());
        SSL_CTX_set_min_proto_version(
            context.get(), minimum == TlsVersion::Tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
        if (minimum == TlsVersion::Tls12Signed) hide_nothing(context.get());
        // AES-128 first: as strong as P-256 and X25519, a fifth cheaper than AES-256, and its hash
        // makes cheaper handshakes.
        SSL_CTX_set_ciphersuites(context.get(), kCipherSuites);
        SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);  // tickets only
        SSL_CTX_set_num_tickets(context.get(), 1);
        static constexpr unsigned char kContextId[] = "muster";
        SSL_CTX_set_session_id_context(context.get(), kContextId, sizeof kContextId - 1);
        if (ask_client_certificate) {
            // Members are judged by the pin of their key, not by a chain.
            SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, accept_any);
        }
        if (auto used = use_certificate(context.get(), certificate); !used) {
            return std::unexpected(used.error());
        }
        if (server->impl_->tickets) seal_tickets(context.get(), *server->impl_->tickets);
        SSL_CTX_set_client_hello_cb(context.get(), &Impl::choose, server->impl_.get());
        SSL_CTX_set_tlsext_servername_callback(context.get(), &Impl::acknowledge);
        auto names = certificate.names.empty() ? subject_names(certificate) : certificate.names;
        for (const std::string& name : names) {
            server->impl_->by_name.try_emplace(
                lower(name), Impl::Choice{context.get(), sha256("muster " + lower(name))});
        }
        server->impl_->contexts.push_back(std::move(context));
    }
    return server;
}

TlsSession TlsServer::session(int fd) const {
    TlsSession session{SSL_new(impl_->contexts.front().get())};
    SSL_set_fd(session.get(), fd);
    SSL_set0_wbio(session.get(), writing_bio(fd));
    SSL_set_accept_state(session.get());
    return session;
}

Result<std::shared_ptr<const TlsClient>> TlsClient::create(TlsTrust trust,
                                                           std::optional<TlsCertificate> own) {
    std::shared_ptr<TlsClient> client{new TlsClient(std::move(trust))};
    client->context_.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX* context = client->context_.get();
    common_options(context);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    if (own) {
        if (auto used = use_certificate(context, *own); !used) {
            return std::unexpected(used.error());
        }
    }
    const auto kind = client->trust_.kind;
    if (kind == TlsTrust::Kind::Pin || kind == TlsTrust::Kind::Nothing) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, accept_any);
        return client;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    if (kind == TlsTrust::Kind::Dane) {
        if (SSL_CTX_dane_enable(context) <= 0) return tls_failure("DANE");
        return client;  // with no authority: only the records count
    }
    if (client->trust_.authorities.empty() || client->trust_.system_too) {
        SSL_CTX_set_default_verify_paths(context);
    }
    if (client->trust_.authorities.empty()) return client;
    const Bio text = memory(client->trust_.authorities);
    X509_STORE* store = SSL_CTX_get_cert_store(context);
    int count = 0;
    while (X509Ptr authority{PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr)}) {
        X509_STORE_add_cert(store, authority.get());
        ++count;
    }
    ERR_clear_error();
    if (count == 0) return tls_failure("no certificate authority in the given text");
    return client;
}

TlsClient::~TlsClient() = default;

namespace {

/// RFC 7672, 3: DANE-EE(3) stands whatever names and dates the certificate has; DANE-TA(2) needs
/// one of the names.
void add_dane(SSL* session, const TlsTrust& trust, const std::string& name) {
    SSL_dane_enable(session, name.c_str());
    SSL_dane_set_flags(session, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    SSL_set_hostflags(session, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    for (const std::string& other : trust.also_names) SSL_add1_host(session, other.c_str());
    for (const TlsaRecord& record : trust.tlsa) {
        const auto* data = reinterpret_cast<const unsigned char*>(record.data.data());
        SSL_dane_tlsa_add(session, record.usage, record.selector, record.matching, data,
                          record.data.size());
    }
    ERR_clear_error();  // of records that cannot be used
}

}  // namespace

TlsSession TlsClient::session(int fd, const std::string& name) const {
    TlsSession session{SSL_new(context_.get())};
    SSL_set_fd(session.get(), fd);
    SSL_set0_wbio(session.get(), writing_bio(fd));
    SSL_set_connect_state(session.get());
    const bool is_address =
        name.find(':') != std::string::npos ||
        (!name.empty() && name.find_first_not_of("0123456789.") == std::string::npos);
    if (!name.empty() && !is_address) SSL_set_tlsext_host_name(session.get(), name.c_str());
    if (trust_.kind == TlsTrust::Kind::Dane) add_dane(session.get(), trust_, name);
    if (trust_.kind != TlsTrust::Kind::Authority) return session;
    if (is_address) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session.get()), name.c_str());
    } else {
        SSL_set_hostflags(session.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        SSL_set1_host(session.get(), name.c_str());
    }
    return session;
}

std::string tls_errors() {
    std::string text;
    while (const unsigned long code = ERR_get_error()) {
        char buffer[256];
        ERR_error_string_n(code, buffer, sizeof buffer);
        if (!text.empty()) text += "; ";
        text += buffer;
    }
    return text.empty() ? "no further reason given" : text;
}

std::string public_key_pin(std::string_view der) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    EVP_Digest(der.data(), der.size(), digest, &length, EVP_sha256(), nullptr);
    unsigned char text[64];
    const int written = EVP_EncodeBlock(text, digest, static_cast<int>(length));
    return "sha256//" +
           std::string(reinterpret_cast<char*>(text), static_cast<std::size_t>(written));
}

}  // namespace muster::net
