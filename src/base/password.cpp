#include "base/password.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <charconv>
#include <memory>

#include "base/base64.h"
#include "base/seal.h"

namespace muster {
namespace {

constexpr std::size_t kSaltBytes = 16;
constexpr unsigned kMaxIterations = 10'000'000;
constexpr std::size_t kMaxDigest = 64;

const unsigned char* bytes(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

std::string digest(const EVP_MD* hash, std::string_view data) {
    std::string result(kMaxDigest, '\0');
    unsigned size = 0;
    MUSTER_CHECK(EVP_Digest(data.data(), data.size(),
                            reinterpret_cast<unsigned char*>(result.data()), &size, hash,
                            nullptr) == 1);
    result.resize(size);
    return result;
}

std::string hmac(const EVP_MD* hash, std::string_view key, std::string_view data) {
    std::string result(kMaxDigest, '\0');
    unsigned size = 0;
    MUSTER_CHECK(HMAC(hash, key.data(), static_cast<int>(key.size()), bytes(data), data.size(),
                      reinterpret_cast<unsigned char*>(result.data()), &size) != nullptr);
    result.resize(size);
    return result;
}

bool equal(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Result<> check_password(std::string_view password) {
    if (password.empty()) return fail(ErrorKind::Syntax, "the password is empty");
    if (password.size() > kMaxPassword) {
        return fail(ErrorKind::Limit, "the password is longer than 1,024 bytes");
    }
    if (password.find('\0') != password.npos) {
        return fail(ErrorKind::Syntax, "the password holds a NUL");
    }
    return {};
}

/// RFC 5802, section 3.
ScramSecret derive(const EVP_MD* hash, std::string_view password, std::string_view salt,
                   unsigned iterations) {
    std::string salted(static_cast<std::size_t>(EVP_MD_get_size(hash)), '\0');
    MUSTER_CHECK(PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), bytes(salt),
                                   static_cast<int>(salt.size()), static_cast<int>(iterations),
                                   hash, static_cast<int>(salted.size()),
                                   reinterpret_cast<unsigned char*>(salted.data())) == 1);
    ScramSecret secret{hmac(hash, salted, "Client Key"), "", hmac(hash, salted, "Server Key")};
    secret.stored = digest(hash, secret.client);
    OPENSSL_cleanse(salted.data(), salted.size());
    return secret;
}

/// `iterations,salt,StoredKey,ServerKey`.
Result<ScramKey> parse_scram(std::string_view text) {
    constexpr std::string_view kDamaged = "a damaged SCRAM key";
    std::array<std::string_view, 4> parts;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const std::size_t comma = text.find(',');
        if ((comma == text.npos) != (i == 3)) return fail(ErrorKind::Syntax, std::string(kDamaged));
        parts[i] = text.substr(0, comma);
        text.remove_prefix(i == 3 ? text.size() : comma + 1);
    }
    unsigned iterations = 0;
    const char* const begin = parts[0].data();
    const char* const end = begin + parts[0].size();
    const auto parsed = std::from_chars(begin, end, iterations);
    const auto salt = base64_decode(parts[1], 256);
    const auto stored = base64_decode(parts[2], kMaxDigest);
    const auto server = base64_decode(parts[3], kMaxDigest);
    if (parsed.ec != std::errc{} || parsed.ptr != end || iterations == 0 ||
        iterations > kMaxIterations || !salt || !stored || !server) {
        return fail(ErrorKind::Syntax, std::string(kDamaged));
    }
    return ScramKey{iterations, *salt, *stored, *server};
}

Result<bool> verify_scram(const EVP_MD* hash, std::string_view text, std::string_view password) {
    const auto key = parse_scram(text);
    if (!key) return std::unexpected(key.error());
    return equal(derive(hash, password, key->salt, key->iterations).stored, key->stored);
}

Result<bool> verify_crypt(std::string_view hash, std::string_view password) {
    // crypt(3) takes 512 bytes, and its answers to bad settings start with '*'.
    if (password.size() > 512) return false;
    const auto data = std::make_unique<crypt_data>();
    const std::string setting(hash);
    const char* made = crypt_r(std::string(password).c_str(), setting.c_str(), data.get());
    if (made == nullptr || made[0] == '*') {
        return fail(ErrorKind::Syntax, "a password hash that this system cannot verify");
    }
    return equal(made, setting);
}

bool is_crypt(std::string_view scheme) {
    constexpr std::array<std::string_view, 6> kSchemes{"SHA512-CRYPT", "SHA256-CRYPT", "BLF-CRYPT",
                                                       "MD5-CRYPT",    "CRYPT",        "DES-CRYPT"};
    return std::ranges::find(kSchemes, scheme) != kSchemes.end();
}

}  // namespace

Result<std::string> make_scram_sha256(std::string_view password, std::string_view salt,
                                      unsigned iterations) {
    if (auto ok = check_password(password); !ok) return std::unexpected(ok.error());
    const ScramSecret keys = derive(EVP_sha256(), password, salt, iterations);
    return "{SCRAM-SHA-256}" + std::to_string(iterations) + ',' + base64_encode(salt) + ',' +
           base64_encode(keys.stored) + ',' + base64_encode(keys.server);
}

Result<std::string> make_scram_sha256(std::string_view password, unsigned iterations) {
    return make_scram_sha256(password, random_bytes(kSaltBytes), iterations);
}

Result<ScramKey> parse_scram_sha256(std::string_view key) {
    constexpr std::string_view kScheme = "{SCRAM-SHA-256}";
    if (!key.starts_with(kScheme)) return fail(ErrorKind::Syntax, "no SCRAM-SHA-256 key");
    auto parts = parse_scram(key.substr(kScheme.size()));
    if (!parts) return parts;
    constexpr std::size_t kDigest = 32;
    if (parts->stored.size() != kDigest || parts->server.size() != kDigest) {
        return fail(ErrorKind::Syntax, "a damaged SCRAM key");
    }
    return parts;
}

Result<ScramSecret> scram_sha256_secret(std::string_view password, std::string_view salt,
                                        unsigned iterations) {
    if (auto ok = check_password(password); !ok) return std::unexpected(ok.error());
    if (iterations == 0 || iterations > kMaxIterations) {
        return fail(ErrorKind::Limit, "an unreasonable number of iterations");
    }
    return derive(EVP_sha256(), password, salt, iterations);
}

std::string_view password_scheme(std::string_view key) {
    if (!key.starts_with('{')) return {};
    const std::size_t end = key.find('}');
    return end == key.npos ? std::string_view{} : key.substr(1, end - 1);
}

Result<bool> verify_password(std::string_view key, std::string_view password) {
    const std::string_view scheme = password_scheme(key);
    if (scheme.empty()) return fail(ErrorKind::Syntax, "a password key without its {SCHEME}");
    const std::string_view text = key.substr(scheme.size() + 2);
    if (password.find('\0') != password.npos || password.size() > kMaxPassword) return false;
    if (scheme == "SCRAM-SHA-256") return verify_scram(EVP_sha256(), text, password);
    if (scheme == "SCRAM-SHA-1") return verify_scram(EVP_sha1(), text, password);
    if (is_crypt(scheme)) return verify_crypt(text, password);
    return fail(ErrorKind::Syntax, "no way to verify passwords of scheme " + std::string(scheme));
}

std::string hmac_sha256(std::string_view key, std::string_view data) {
    return hmac(EVP_sha256(), key, data);
}

}  // namespace muster
