#include "cluster/credential_seal.h"

#include "base/base64.h"

namespace muster::cluster {
namespace {

constexpr std::string_view kMark = "{SEALED}";
constexpr std::size_t kLargestSeal = 8192;

}  // namespace

bool is_sealed(std::string_view password) { return password.starts_with(kMark); }

std::string sealed_password(std::string_view password, const SealSecret& secret) {
    if (is_sealed(password)) return std::string(password);
    return std::string(kMark) + base64_encode(seal(password, secret));
}

std::string sealed_alike(std::string_view password, const SealSecret& key) {
    return std::string(kMark) + base64_encode(seal_alike(password, key));
}

Result<std::string> opened_password(std::string_view stored, const SealSecret& secret) {
    if (!is_sealed(stored)) return std::string(stored);
    if (secret.bytes.size() != kSealKeyBytes) {
        return fail(ErrorKind::Refused, "this node has not got the cluster's secret");
    }
    const auto bytes = base64_decode(stored.substr(kMark.size()), kLargestSeal);
    if (!bytes) return fail(ErrorKind::Corrupt, "a sealed password is damaged");
    return unseal(*bytes, secret);
}

}  // namespace muster::cluster
