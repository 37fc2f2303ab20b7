#include "base/hmac.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

namespace muster {

std::string hmac_sha256(std::string_view key, std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned int length = 0;
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(), bytes.data(), &length);
    return {reinterpret_cast<const char*>(bytes.data()), length};
}

}  // namespace muster
