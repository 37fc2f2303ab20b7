#pragma once
// TLS contexts: what a listener shows and what a client trusts. OpenSSL stays in tls*.cpp.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "net/tlsa.h"

struct ssl_st;
struct ssl_ctx_st;

namespace muster::net {

struct TlsSessionDeleter {
    void operator()(ssl_st* session) const;
};
using TlsSession = std::unique_ptr<ssl_st, TlsSessionDeleter>;

struct TlsContextDeleter {
    void operator()(ssl_ctx_st* context) const;
};
using TlsContext = std::unique_ptr<ssl_ctx_st, TlsContextDeleter>;

/// A chain and its key, both PEM texts. `names` may be empty: then the certificate's own subject
/// alternative names say when it is shown.
struct TlsCertificate {
    std::string chain;
    std::string key;
    std::vector<std::string> names;
};

class TicketKeys;

enum class TlsVersion : std::uint8_t {
    Tls12,
    Tls13,
    Tls12Signed,  ///< TLS 1.2 that hides nothing: both keys are proven, each record is signed
};

/// The server side: certificates by SNI, the first one by default. Immutable; to replace
/// certificates make a new TlsServer and swap the shared pointer (running sessions keep theirs).
///
/// Sessions are resumed by tickets alone, nothing is kept here, and only for the choice of
/// certificate they were made for: the name, as it is listed, that the client's server name
/// matched, or the first certificate where it matched none. Which listener does not matter. There
/// is no early data.
class TlsServer {
public:
    /// Fails when a chain or key cannot be read or do not belong together; says which. `tickets`:
    /// sessions are resumed by whoever has the same keys; without, by this object alone.
    static Result<std::shared_ptr<const TlsServer>> create(
        const std::vector<TlsCertificate>& certificates, TlsVersion minimum = TlsVersion::Tls12,
        bool ask_client_certificate = false, std::shared_ptr<const TicketKeys> tickets = nullptr);
    ~TlsServer();
    TlsServer(const TlsServer&) = delete;
    TlsServer& operator=(const TlsServer&) = delete;

    [[nodiscard]] TlsSession session(int fd) const;

    struct Impl;

private:
    TlsServer();
    std::unique_ptr<Impl> impl_;
};

/// How a client judges its server.
struct TlsTrust {
    enum class Kind : std::uint8_t {
        Authority,  ///< chain to `authorities` (PEM; empty: the system's) and the name must match
        Pin,        ///< the key must have this pin (`sha256//BASE64`); dates and names do not count
        Dane,       ///< as `tlsa` says (RFC 7672); the name is the TLSA base domain
        Nothing,    ///< encrypted only
    };
    Kind kind = Kind::Authority;
    std::string authorities{};
    std::string pin{};
    bool system_too = false;         ///< Authority: the system's are trusted besides `authorities`
    std::vector<TlsaRecord> tlsa{};  ///< Dane; without a usable one no server is trusted
    std::vector<std::string> also_names{};  ///< Dane: names that the certificate may show instead
};

class TlsClient {
public:
    static Result<std::shared_ptr<const TlsClient>> create(
        TlsTrust trust, std::optional<TlsCertificate> own = std::nullopt);
    ~TlsClient();
    TlsClient(const TlsClient&) = delete;
    TlsClient& operator=(const TlsClient&) = delete;

    [[nodiscard]] TlsSession session(int fd, const std::string& name) const;
    [[nodiscard]] const TlsTrust& trust() const { return trust_; }

private:
    explicit TlsClient(TlsTrust trust) : trust_(std::move(trust)) {}
    TlsTrust trust_;
    TlsContext context_;
};

/// The one cipher of Tls12Signed; its key must be an ECDSA key.
inline constexpr const char* kSignedOnly = "ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0";

/// The newest errors of OpenSSL on this thread as one text; clears them.
std::string tls_errors();

/// `sha256//BASE64` of a public key in DER (SubjectPublicKeyInfo), as curl writes pins.
std::string public_key_pin(std::string_view der);

}  // namespace muster::net
