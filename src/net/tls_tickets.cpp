#include "net/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/password.h"
#include "base/seal.h"

namespace muster::net {
namespace {

constexpr std::size_t kNameBytes = 16;  ///< as OpenSSL's callback has it
constexpr std::size_t kSecretBytes = 32;

unsigned char* bytes_of(const std::string& text) {
    return const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(text.data()));
}

const EVP_CIPHER* cipher() {
    static EVP_CIPHER* const found = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
    return found;
}

int place() {
    static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

bool set_mac_key(EVP_MAC_CTX* mac, const TicketKey& key) {
    char digest[] = "SHA256";
    const std::array params{
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, bytes_of(key.mac), key.mac.size()),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, params.data()) == 1;
}

// What the callback answers (SSL_CTX_set_tlsext_ticket_key_evp_cb(3)).
constexpr int kFailed = -1;
constexpr int kNoTicket = 0;  ///< nobody's of ours: a full handshake
constexpr int kGood = 1;
constexpr int kRenew = 2;  ///< opened, and replaced by one under the current key

int begin_sealing(const TicketKey& key, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* out,
                  EVP_MAC_CTX* mac) {
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(cipher())) != 1) return kFailed;
    std::memcpy(name, key.name.data(), kNameBytes);
    if (EVP_EncryptInit_ex2(out, cipher(), bytes_of(key.cipher), iv, nullptr) != 1) return kFailed;
    return set_mac_key(mac, key) ? kGood : kFailed;
}

int begin_opening(const std::vector<TicketKey>& keys, const unsigned char* name,
                  const unsigned char* iv, EVP_CIPHER_CTX* in, EVP_MAC_CTX* mac) {
    const std::string_view wanted(reinterpret_cast<const char*>(name), kNameBytes);
    const auto key = std::ranges::find(keys, wanted, &TicketKey::name);
    if (key == keys.end()) return kNoTicket;
    if (!set_mac_key(mac, *key)) return kFailed;
    if (EVP_DecryptInit_ex2(in, cipher(), bytes_of(key->cipher), iv, nullptr) != 1) return kFailed;
    return key == keys.begin() ? kGood : kRenew;
}

int ticket_key(SSL* session, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
               EVP_MAC_CTX* mac, int sealing) {
    const void* data = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(session), place());
    const auto keys = static_cast<const TicketKeys*>(data)->current();
    if (sealing != 0) return begin_sealing(keys->front(), name, iv, cipher, mac);
    return begin_opening(*keys, name, iv, cipher, mac);
}

}  // namespace

TicketKey TicketKey::from_secret(std::string_view secret) {  // as HKDF-Expand, RFC 5869
    return {hmac_sha256(secret, "muster ticket name").substr(0, kNameBytes),
            hmac_sha256(secret, "muster ticket cipher"), hmac_sha256(secret, "muster ticket mac")};
}

TicketKeys::TicketKeys() { use({TicketKey::from_secret(random_bytes(kSecretBytes))}); }

void TicketKeys::use(std::vector<TicketKey> keys) {
    auto fresh = std::make_shared<const std::vector<TicketKey>>(std::move(keys));
    const std::scoped_lock lock(mutex_);
    keys_ = std::move(fresh);
}

std::shared_ptr<const std::vector<TicketKey>> TicketKeys::current() const {
    const std::scoped_lock lock(mutex_);
    return keys_;
}

void seal_tickets(ssl_ctx_st* context, const TicketKeys& keys) {
    SSL_CTX_set_ex_data(context, place(), const_cast<TicketKeys*>(&keys));
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, &ticket_key);
}

}  // namespace muster::net
