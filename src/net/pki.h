#pragma once
// Keys and certificates of a cluster: its own authority, nodes, servers, listeners. ECDSA P-256.
// Everything goes in and out as PEM text.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace muster::net {

/// A new private key (PKCS 8).
std::string make_key();
/// A new private key that signs mail (PKCS 8): RSA of 2,048 bits, or Ed25519.
enum class SigningAlgorithm : std::uint8_t { Rsa, Ed25519 };
std::string make_signing_key(SigningAlgorithm algorithm);
/// A new RSA key of so many bits (PKCS 8).
std::string make_rsa_key(unsigned bits);

/// What others need of such a key, as DNS records for DKIM have it (RFC 6376, RFC 8463).
struct SigningKey {
    SigningAlgorithm algorithm = SigningAlgorithm::Rsa;
    int bits = 0;
    std::string public_key;   ///< RSA: DER of SubjectPublicKeyInfo; Ed25519: its 32 bytes
    std::string private_key;  ///< PEM, PKCS 8, nothing else
};
/// Corrupt: no private key in PEM form without a passphrase. Syntax: of another kind.
Result<SigningKey> read_signing_key(std::string_view pem);

/// The public half (SubjectPublicKeyInfo) of a private key or a certificate.
Result<std::string> public_key_of(std::string_view pem);
/// `sha256//BASE64` of the public half of a private key, a public key or a certificate.
Result<std::string> pin_of(std::string_view pem);

/// Of a server's certificate; clients refuse what is for longer (CA/Browser Forum until 2020).
inline constexpr std::chrono::days kLongestLife{825};

enum class CertificateUse : std::uint8_t {
    Authority,  ///< signs others
    Peer,       ///< server and client: nodes, Dovecot, listeners
};

struct CertificateWish {
    std::string common_name;
    std::vector<std::string> names;  ///< host names and addresses it is for
    std::chrono::days lifetime = kLongestLife;
    CertificateUse use = CertificateUse::Peer;
};

/// Signed with its own key.
Result<std::string> self_signed(std::string_view key, const CertificateWish& wish);
/// Signed by an authority for the public half of `subject` (private key, public key).
Result<std::string> issue(std::string_view authority, std::string_view authority_key,
                          std::string_view subject, const CertificateWish& wish);

/// What a certificate says; of a chain, its first one.
struct CertificateFacts {
    std::string subject;  ///< common name
    std::string issuer;
    std::vector<std::string> names;
    std::chrono::system_clock::time_point not_before;
    std::chrono::system_clock::time_point not_after;
    std::string pin;
};
Result<CertificateFacts> read_certificate(std::string_view pem);
/// An error says why this chain and key cannot serve: unreadable, or not belonging together.
Result<> belong_together(std::string_view chain, std::string_view key);

}  // namespace muster::net
