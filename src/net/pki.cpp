#include "net/pki.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/base64.h"

namespace muster::net {
namespace {

template <auto Free>
struct FreeBy {
    template <typename T>
    void operator()(T* object) const {
        Free(object);
    }
};
using Bio = std::unique_ptr<BIO, FreeBy<BIO_free_all>>;
using Key = std::unique_ptr<EVP_PKEY, FreeBy<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, FreeBy<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, FreeBy<X509_EXTENSION_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, FreeBy<GENERAL_NAMES_free>>;

Bio reading(std::string_view text) {
    return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string written(const Bio& bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

Certificate certificate_from(std::string_view pem) {
    const Bio bio = reading(pem);
    Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    ERR_clear_error();
    return certificate;
}

/// Encrypted keys are not supported; without this callback OpenSSL would ask on the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

Key private_from(std::string_view pem) {
    const Bio bio = reading(pem);
    Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
    ERR_clear_error();
    return key;
}

Key public_from(std::string_view pem) {
    const Bio bio = reading(pem);
    Key key(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
    ERR_clear_error();
    return key;
}

Key any_key_from(std::string_view pem) {
    if (Key key = private_from(pem)) return key;
    if (Key key = public_from(pem)) return key;
    if (const Certificate certificate = certificate_from(pem)) {
        return Key(X509_get_pubkey(certificate.get()));
    }
    return nullptr;
}

std::string pkcs8(EVP_PKEY* key) {
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
    return written(bio);
}

std::string pin_of(EVP_PKEY* key) {
    unsigned char* der = nullptr;
    const int size = i2d_PUBKEY(key, &der);
    MUSTER_CHECK(size > 0);
    std::array<char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    const int done =
        EVP_Digest(der, static_cast<std::size_t>(size),
                   reinterpret_cast<unsigned char*>(digest.data()), &length, EVP_sha256(), nullptr);
    OPENSSL_free(der);
    MUSTER_CHECK(done == 1);
    return "sha256//" + base64_encode(std::string_view(digest.data(), length));
}

bool is_address(const std::string& name) {
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    return inet_pton(AF_INET, name.c_str(), bytes.data()) == 1 ||
           inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
}

Result<> add_extension(X509* certificate, X509V3_CTX* context, int nid, const std::string& value) {
    const Extension extension(X509V3_EXT_conf_nid(nullptr, context, nid, value.c_str()));
    if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1) {
        ERR_clear_error();
        return fail(ErrorKind::Syntax, "a certificate cannot hold \"" + value + "\"");
    }
    return {};
}

/// Whether OpenSSL's extension syntax would take the name for what it is.
bool is_plain(std::string_view name) {
    return !name.empty() && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '.' || c == ':' || c == '*' || c == '_';
    });
}

Result<std::string> alternative_names(const CertificateWish& wish) {
    std::string value;
    for (const std::string& name : wish.names) {
        if (!is_plain(name)) return fail(ErrorKind::Syntax, "not a host name: \"" + name + "\"");
        if (!value.empty()) value += ',';
        value += (is_address(name) ? "IP:" : "DNS:") + name;
    }
    return value;
}

Result<> add_extensions(X509* certificate, X509* issuer, const CertificateWish& wish) {
    const bool authority = wish.use == CertificateUse::Authority;
    auto names = alternative_names(wish);
    if (!names) return std::unexpected(names.error());
    std::vector<std::pair<int, std::string>> extensions{
        {NID_basic_constraints, authority ? "critical,CA:TRUE" : "critical,CA:FALSE"},
        {NID_key_usage, authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature"},
        {NID_subject_key_identifier, "hash"},
    };
    if (!authority) extensions.emplace_back(NID_ext_key_usage, "serverAuth,clientAuth");
    if (issuer != certificate) extensions.emplace_back(NID_authority_key_identifier, "keyid");
    if (!names->empty()) extensions.emplace_back(NID_subject_alt_name, *names);
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    for (const auto& [nid, value] : extensions) {
        if (auto added = add_extension(certificate, &context, nid, value); !added) return added;
    }
    return {};
}

/// A random positive serial number (RFC 5280, 4.1.2.2: at most 20 bytes).
void set_serial(X509* certificate) {
    std::array<unsigned char, 16> serial{};
    MUSTER_CHECK(RAND_bytes(serial.data(), serial.size()) == 1);
    serial[0] &= 0x7f;
    BIGNUM* number = BN_bin2bn(serial.data(), serial.size(), nullptr);
    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
}

Result<std::string> sign(X509* issuer, EVP_PKEY* issuer_key, EVP_PKEY* subject,
                         const CertificateWish& wish) {
    const Certificate made(X509_new());
    X509* certificate = made.get();
    X509_set_version(certificate, X509_VERSION_3);
    set_serial(certificate);
    // An hour in the past: clocks of machines differ.
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_time_adj_ex(X509_getm_notAfter(certificate), static_cast<int>(wish.lifetime.count()), 0,
                     nullptr);
    X509_set_pubkey(certificate, subject);
    X509_NAME* name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(
        name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(wish.common_name.data()),
        static_cast<int>(std::min<std::size_t>(wish.common_name.size(), 64)), -1, 0);
    X509* const signer = issuer == nullptr ? certificate : issuer;
    X509_set_issuer_name(certificate, X509_get_subject_name(signer));
    if (auto added = add_extensions(certificate, signer, wish); !added) {
        return std::unexpected(added.error());
    }
    if (X509_sign(certificate, issuer_key, EVP_sha256()) <= 0) {
        ERR_clear_error();
        return fail(ErrorKind::Corrupt, "the key cannot sign certificates");
    }
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(bio.get(), certificate);
    return written(bio);
}

std::chrono::system_clock::time_point time_of(const ASN1_TIME* time) {
    std::tm parts{};
    ASN1_TIME_to_tm(time, &parts);
    return std::chrono::system_clock::from_time_t(timegm(&parts));
}

std::string common_name(const X509_NAME* name) {
    std::array<char, 256> text{};
    const int size = X509_NAME_get_text_by_NID(name, NID_commonName, text.data(), text.size());
    return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : std::string();
}

std::string name_text(const GENERAL_NAME* name) {
    if (name->type == GEN_DNS) {
        return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName))};
    }
    if (name->type != GEN_IPADD) return {};
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int family = ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6;
    inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), text.data(), text.size());
    return text.data();
}

std::vector<std::string> names_of(const X509* certificate) {
    std::vector<std::string> found;
    const Names names(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        std::string text = name_text(sk_GENERAL_NAME_value(names.get(), i));
        if (!text.empty()) found.push_back(std::move(text));
    }
    return found;
}

}  // namespace

std::string make_key() {
    const Key key(EVP_EC_gen("P-256"));
    MUSTER_CHECK(key);
    return pkcs8(key.get());
}

std::string make_rsa_key(unsigned bits) {
    const Key key(EVP_RSA_gen(bits));
    MUSTER_CHECK(key);
    return pkcs8(key.get());
}

std::string make_signing_key(SigningAlgorithm algorithm) {
    constexpr unsigned kRsaBits = 2048;
    if (algorithm == SigningAlgorithm::Rsa) return make_rsa_key(kRsaBits);
    const Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    MUSTER_CHECK(key);
    return pkcs8(key.get());
}

Result<SigningKey> read_signing_key(std::string_view pem) {
    const Key key = private_from(pem);
    if (!key) return fail(ErrorKind::Corrupt, "no private key in PEM form, or one with passphrase");
    SigningKey found;
    found.bits = EVP_PKEY_get_bits(key.get());
    found.private_key = pkcs8(key.get());
    if (EVP_PKEY_is_a(key.get(), "RSA") == 1) {
        unsigned char* der = nullptr;
        const int size = i2d_PUBKEY(key.get(), &der);
        MUSTER_CHECK(size > 0);
        found.public_key.assign(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
        OPENSSL_free(der);
        return found;
    }
    if (EVP_PKEY_is_a(key.get(), "ED25519") != 1) {
        return fail(ErrorKind::Syntax, "neither an RSA nor an Ed25519 key");
    }
    found.algorithm = SigningAlgorithm::Ed25519;
    std::array<unsigned char, 32> raw{};
    std::size_t size = raw.size();
    MUSTER_CHECK(EVP_PKEY_get_raw_public_key(key.get(), raw.data(), &size) == 1);
    found.public_key.assign(reinterpret_cast<char*>(raw.data()), size);
    return found;
}

Result<std::string> public_key_of(std::string_view pem) {
    const Key key = any_key_from(pem);
    if (!key) return fail(ErrorKind::Corrupt, "no key or certificate in PEM form");
    const Bio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PUBKEY(bio.get(), key.get());
    return written(bio);
}

Result<std::string> pin_of(std::string_view pem) {
    const Key key = any_key_from(pem);
    if (!key) return fail(ErrorKind::Corrupt, "no key or certificate in PEM form");
    return pin_of(key.get());
}

Result<std::string> self_signed(std::string_view key, const CertificateWish& wish) {
    const Key own = private_from(key);
    if (!own) return fail(ErrorKind::Corrupt, "no private key in PEM form");
    return sign(nullptr, own.get(), own.get(), wish);
}

Result<std::string> issue(std::string_view authority, std::string_view authority_key,
                          std::string_view subject, const CertificateWish& wish) {
    const Certificate issuer = certificate_from(authority);
    const Key issuer_key = private_from(authority_key);
    const Key wanted = any_key_from(subject);
    if (!issuer || !issuer_key || !wanted) {
        return fail(ErrorKind::Corrupt, "authority or key is not readable PEM");
    }
    return sign(issuer.get(), issuer_key.get(), wanted.get(), wish);
}

Result<CertificateFacts> read_certificate(std::string_view pem) {
    const Certificate certificate = certificate_from(pem);
    if (!certificate) return fail(ErrorKind::Corrupt, "no certificate in PEM form");
    CertificateFacts facts;
    facts.subject = common_name(X509_get_subject_name(certificate.get()));
    facts.issuer = common_name(X509_get_issuer_name(certificate.get()));
    facts.names = names_of(certificate.get());
    facts.not_before = time_of(X509_get0_notBefore(certificate.get()));
    facts.not_after = time_of(X509_get0_notAfter(certificate.get()));
    facts.pin = pin_of(X509_get0_pubkey(certificate.get()));
    return facts;
}

Result<> belong_together(std::string_view chain, std::string_view key) {
    const Certificate certificate = certificate_from(chain);
    if (!certificate) return fail(ErrorKind::Corrupt, "the chain holds no certificate in PEM form");
    const Key own = private_from(key);
    if (!own) return fail(ErrorKind::Corrupt, "the key is no unencrypted private key in PEM form");
    const bool match = X509_check_private_key(certificate.get(), own.get()) == 1;
    ERR_clear_error();
    if (!match) return fail(ErrorKind::Refused, "the key does not belong to the certificate");
    return {};
}

}  // namespace muster::net
