// Addresses, endpoints, networks, base64 and hexadecimal: what is read prints and reads the same.
#include "base/base64.h"
#include "base/endpoint.h"
#include "fuzz.h"

namespace muster {
namespace {

void addresses(std::string_view text) {
    if (auto address = IpAddress::parse(text)) {
        MUST(IpAddress::parse(address->text()) == *address);
        MUST(address->text().size() <= 45);
        MUST(Network::parse(text)->contains(*address));
    }
    if (auto endpoint = Endpoint::parse(text)) MUST(Endpoint::parse(endpoint->text()) == *endpoint);
    if (auto network = Network::parse(text)) MUST(Network::parse(network->text()) == *network);
}

void encodings(std::string_view bytes) {
    MUST(base64_decode(base64_encode(bytes), bytes.size()) == bytes);
    MUST(hex_decode(hex_encode(bytes), bytes.size()) == bytes);
    if (auto decoded = base64_decode(bytes, 64)) {
        MUST(decoded->size() <= 64);
        MUST(base64_encode(*decoded) == bytes);
    }
    if (auto decoded = hex_decode(bytes, 64)) MUST(decoded->size() * 2 == bytes.size());
}

}  // namespace
}  // namespace muster

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto text = muster::fuzz::text(data, size);
    muster::addresses(text);
    muster::encodings(text);
    return 0;
}
