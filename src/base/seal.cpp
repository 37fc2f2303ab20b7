#include "base/seal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/password.h"

namespace muster {
namespace {

// Head: magic, kind, salt; then segments of ciphertext and tag. The nonce of segment i is
// 7 zero bytes, i as 4 bytes, and 1 for the last (the STREAM construction, Hoang et al. 2015):
// the salt makes the key of every seal a fresh one, so nonces never meet.
constexpr std::string_view kMagic = "MSTRSEAL1";
constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kHeadBytes = kMagic.size() + 1 + kSaltBytes;
constexpr std::size_t kSegment = 1 << 20;
constexpr std::size_t kTag = 16;
constexpr std::size_t kNonce = 12;
constexpr std::uint64_t kScryptN = 1 << 15;
constexpr std::uint64_t kScryptMemory = std::uint64_t{64} << 20;

const unsigned char* bytes(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

std::string stretched(std::string_view passphrase, std::string_view salt) {
    std::string key(kSealKeyBytes, '\0');
    MUSTER_CHECK(EVP_PBE_scrypt(passphrase.data(), passphrase.size(), bytes(salt), salt.size(),
                                kScryptN, 8, 1, kScryptMemory, bytes(key), key.size()) == 1);
    return key;
}

std::string key_for(const SealSecret& secret, std::string_view salt) {
    if (secret.kind == SealSecret::Kind::Passphrase) return stretched(secret.bytes, salt);
    MUSTER_CHECK(secret.bytes.size() == kSealKeyBytes);
    return sha256(secret.bytes + std::string(salt));
}

struct FreeCipher {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

std::array<unsigned char, kNonce> nonce(std::uint32_t segment, bool last) {
    std::array<unsigned char, kNonce> made{};
    for (int i = 0; i < 4; ++i) made[7 + i] = static_cast<unsigned char>(segment >> (24 - 8 * i));
    made[11] = last ? 1 : 0;
    return made;
}

std::string encrypted(std::string_view key, std::uint32_t segment, bool last,
                      std::string_view plain) {
    const Cipher cipher(EVP_CIPHER_CTX_new());
    std::string out(plain.size() + kTag, '\0');
    int moved = 0;
    int rest = 0;
    const bool done = cipher &&
                      EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, bytes(key),
                                         nonce(segment, last).data()) == 1 &&
                      EVP_EncryptUpdate(cipher.get(), bytes(out), &moved, bytes(plain),
                                        static_cast<int>(plain.size())) == 1 &&
                      EVP_EncryptFinal_ex(cipher.get(), bytes(out) + moved, &rest) == 1 &&
                      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTag,
                                          bytes(out) + plain.size()) == 1;
    MUSTER_CHECK(done);
    return out;
}

Result<std::string> decrypted(std::string_view key, std::uint32_t segment, bool last,
                              std::string_view sealed) {
    const std::string_view body = sealed.substr(0, sealed.size() - kTag);
    std::string tag(sealed.substr(body.size()));
    const Cipher cipher(EVP_CIPHER_CTX_new());
    std::string out(body.size() + 1, '\0');
    int moved = 0;
    int rest = 0;
    MUSTER_CHECK(cipher);
    const bool done =
        EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, bytes(key),
                           nonce(segment, last).data()) == 1 &&
        EVP_DecryptUpdate(cipher.get(), bytes(out), &moved, bytes(body),
                          static_cast<int>(body.size())) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTag, tag.data()) == 1 &&
        EVP_DecryptFinal_ex(cipher.get(), bytes(out) + moved, &rest) == 1;
    if (!done) return fail(ErrorKind::Refused, "the secret is wrong or the sealed bytes changed");
    out.resize(body.size());
    return out;
}

template <typename Worker>
Result<std::string> collect(std::string_view input, const SealSecret& secret) {
    std::string out;
    Worker worker(secret, [&out](std::string_view piece) -> Result<> {
        out += piece;
        return {};
    });
    if (auto written = worker.write(input); !written) return std::unexpected(written.error());
    if (auto finished = worker.finish(); !finished) return std::unexpected(finished.error());
    return out;
}

}  // namespace

std::string random_bytes(std::size_t count) {
    std::string made(count, '\0');
    MUSTER_CHECK(RAND_bytes(bytes(made), static_cast<int>(count)) == 1);
    return made;
}

std::string random_name(std::size_t count) {
    static constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";
    std::string made = random_bytes(count);
    for (char& c : made) c = kAlphabet[static_cast<unsigned char>(c) & 31U];
    return made;
}

bool equal_in_constant_time(std::string_view left, std::string_view right) {
    return left.size() == right.size() &&
           CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

std::string sha256(std::string_view text) {
    std::string result(kSealKeyBytes, '\0');
    unsigned length = 0;
    MUSTER_CHECK(
        EVP_Digest(text.data(), text.size(), bytes(result), &length, EVP_sha256(), nullptr) == 1);
    return result;
}

std::string seal(std::string_view plain, const SealSecret& secret) {
    return *collect<Sealer>(plain, secret);
}

std::string seal_alike(std::string_view plain, const SealSecret& key) {
    MUSTER_CHECK(key.kind == SealSecret::Kind::Key);
    std::string out;
    const std::string salt = hmac_sha256(key.bytes, plain).substr(0, kSaltBytes);
    Sealer sealer(
        key,
        [&out](std::string_view piece) -> Result<> {
            out += piece;
            return {};
        },
        salt);
    MUSTER_CHECK(sealer.write(plain) && sealer.finish());
    return out;
}

Result<std::string> unseal(std::string_view sealed, const SealSecret& secret) {
    return collect<Unsealer>(sealed, secret);
}

struct Sealer::Impl {
    Sink sink;
    std::string key;
    std::string head;
    std::string pending;
    std::uint32_t segment = 0;

    Result<> emit(bool last) {
        if (!head.empty()) {
            if (auto sent = sink(std::exchange(head, {})); !sent) return sent;
        }
        const std::size_t size = std::min(pending.size(), kSegment);
        const std::string out =
            encrypted(key, segment++, last, std::string_view(pending).substr(0, size));
        pending.erase(0, size);
        return sink(out);
    }
};

Sealer::Sealer(const SealSecret& secret, Sink sink)
    : Sealer(secret, std::move(sink), random_bytes(kSaltBytes)) {}

Sealer::Sealer(const SealSecret& secret, Sink sink, const std::string& salt)
    : impl_(std::make_unique<Impl>()) {
    MUSTER_CHECK(salt.size() == kSaltBytes);
    impl_->sink = std::move(sink);
    impl_->key = key_for(secret, salt);
    impl_->head =
        std::string(kMagic) + (secret.kind == SealSecret::Kind::Passphrase ? 'P' : 'K') + salt;
}
Sealer::~Sealer() { OPENSSL_cleanse(impl_->key.data(), impl_->key.size()); }

Result<> Sealer::write(std::string_view plain) {
    impl_->pending += plain;
    while (impl_->pending.size() > kSegment) {
        if (auto sent = impl_->emit(false); !sent) return sent;
    }
    return {};
}

Result<> Sealer::finish() { return impl_->emit(true); }

struct Unsealer::Impl {
    SealSecret secret;
    Sink sink;
    std::string key;
    std::string pending;
    std::uint32_t segment = 0;

    Result<> read_head() {
        const char kind = secret.kind == SealSecret::Kind::Passphrase ? 'P' : 'K';
        if (!pending.starts_with(kMagic)) return fail(ErrorKind::Corrupt, "not a sealed file");
        if (pending[kMagic.size()] != kind) {
            return fail(ErrorKind::Refused, "sealed with another kind of secret");
        }
        key = key_for(secret, std::string_view(pending).substr(kMagic.size() + 1, kSaltBytes));
        pending.erase(0, kHeadBytes);
        return {};
    }
    Result<> take(std::size_t size, bool last) {
        auto plain = decrypted(key, segment++, last, std::string_view(pending).substr(0, size));
        if (!plain) return std::unexpected(plain.error());
        pending.erase(0, size);
        return sink(*plain);
    }
};

Unsealer::Unsealer(SealSecret secret, Sink sink) : impl_(std::make_unique<Impl>()) {
    impl_->secret = std::move(secret);
    impl_->sink = std::move(sink);
}
Unsealer::~Unsealer() { OPENSSL_cleanse(impl_->key.data(), impl_->key.size()); }

Result<> Unsealer::write(std::string_view sealed) {
    impl_->pending += sealed;
    if (impl_->key.empty()) {
        if (impl_->pending.size() < kHeadBytes) return {};
        if (auto head = impl_->read_head(); !head) return head;
    }
    // One byte more than a whole segment proves that this one is not the last.
    while (impl_->pending.size() > kSegment + kTag) {
        if (auto taken = impl_->take(kSegment + kTag, false); !taken) return taken;
    }
    return {};
}

Result<> Unsealer::finish() {
    if (impl_->key.empty() || impl_->pending.size() < kTag) {
        return fail(ErrorKind::Corrupt, "not a sealed file, or cut off");
    }
    return impl_->take(impl_->pending.size(), true);
}

}  // namespace muster
