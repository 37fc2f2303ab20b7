// Sealed secrets and sealed files that were damaged or made up.
#include "base/seal.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace muster;
    static const SealSecret secret = SealSecret::key(std::string(kSealKeyBytes, 'k'));
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto opened = unseal(text, secret);
    // Nobody without the key makes what opens; what was sealed opens to the same.
    MUST(!opened);
    const auto again = unseal(seal(text, secret), secret);
    MUST(again && *again == text);
    return 0;
}
