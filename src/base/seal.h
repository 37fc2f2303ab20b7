#pragma once
// Secrets at rest: AES-256-GCM in segments, under a key or under a passphrase (scrypt, RFC 7914).

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace muster {

/// What a seal opens with. A passphrase is stretched (2^15 rounds of 1 KiB: some 100 ms and 32
/// MiB).
struct SealSecret {
    enum class Kind : std::uint8_t { Passphrase, Key };
    Kind kind = Kind::Key;
    std::string bytes;  ///< the passphrase, or exactly kSealKeyBytes

    static SealSecret passphrase(std::string text) { return {Kind::Passphrase, std::move(text)}; }
    static SealSecret key(std::string key_bytes) { return {Kind::Key, std::move(key_bytes)}; }
};

inline constexpr std::size_t kSealKeyBytes = 32;

/// Bytes from the system's generator. Never fails: without randomness the process ends.
std::string random_bytes(std::size_t count);
/// `count` random characters of [a-z2-7] (5 bits each).
std::string random_name(std::size_t count);
/// Takes as long whatever differs. Different lengths answer at once.
bool equal_in_constant_time(std::string_view left, std::string_view right);

/// 32 bytes.
std::string sha256(std::string_view text);

std::string seal(std::string_view plain, const SealSecret& secret);
/// The same bytes for the same text under the same key each time, so that those who cannot open it
/// see whether it changed. Keys only.
std::string seal_alike(std::string_view plain, const SealSecret& key);
/// Refused: wrong secret or changed bytes (which of them cannot be told). Corrupt: not a seal.
Result<std::string> unseal(std::string_view sealed, const SealSecret& secret);

/// The same for any size: segments of 1 MiB, each with its own tag, bound to its place, the last
/// one marked, so that neither order nor length can be changed unseen.
class Sealer {
public:
    using Sink = std::function<Result<>(std::string_view)>;
    Sealer(const SealSecret& secret, Sink sink);
    /// `salt` must be another one for every text under that secret.
    Sealer(const SealSecret& secret, Sink sink, const std::string& salt);
    ~Sealer();
    Result<> write(std::string_view plain);
    Result<> finish();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Feeds plain bytes to its sink as they are proven. What was handed out before an error is
/// genuine but not the whole.
class Unsealer {
public:
    using Sink = std::function<Result<>(std::string_view)>;
    Unsealer(SealSecret secret, Sink sink);
    ~Unsealer();
    Result<> write(std::string_view sealed);
    Result<> finish();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace muster
