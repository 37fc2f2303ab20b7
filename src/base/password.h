#pragma once
// Password keys as Dovecot stores them: `{SCHEME}…`. Making one and verifying against one costs
// milliseconds of CPU on purpose: never on a worker.

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"

namespace muster {

inline constexpr unsigned kScramIterations = 4096;  ///< RFC 7677, Dovecot's default
inline constexpr std::size_t kMaxPassword = 1024;

/// `{SCRAM-SHA-256}iterations,salt,StoredKey,ServerKey` (RFC 5802 in Dovecot's spelling), with a
/// random salt. It serves SCRAM-SHA-256 and PLAIN alike. Errors: empty, too long, a NUL.
Result<std::string> make_scram_sha256(std::string_view password,
                                      unsigned iterations = kScramIterations);
/// The same with a given salt (tests, re-computation).
Result<std::string> make_scram_sha256(std::string_view password, std::string_view salt,
                                      unsigned iterations);

/// The parts of a `{SCRAM-SHA-256}` key.
struct ScramKey {
    unsigned iterations = 0;
    std::string salt;
    std::string stored;  ///< StoredKey: a client's proof is held against it
    std::string server;  ///< ServerKey: with it the server proves itself
};
/// Syntax for every other scheme, and for a damaged key.
Result<ScramKey> parse_scram_sha256(std::string_view key);
/// The key that clients prove to have, and those that a server keeps (RFC 5802, section 3).
struct ScramSecret {
    std::string client;
    std::string stored;
    std::string server;
};
/// Errors: as make_scram_sha256(), and Limit for a count that would take too long.
Result<ScramSecret> scram_sha256_secret(std::string_view password, std::string_view salt,
                                        unsigned iterations);

/// `SCHEME` of `{SCHEME}…`, as written; empty when there is none.
std::string_view password_scheme(std::string_view key);

/// Whether `password` fits. Knows SCRAM-SHA-256, SCRAM-SHA-1 and what crypt(3) verifies
/// (SHA512-CRYPT, SHA256-CRYPT, BLF-CRYPT, MD5-CRYPT, CRYPT); other schemes and damaged keys are
/// ErrorKind::Syntax. Comparisons take the same time wherever they differ.
Result<bool> verify_password(std::string_view key, std::string_view password);

/// 32 bytes (RFC 2104).
std::string hmac_sha256(std::string_view key, std::string_view data);

}  // namespace muster
