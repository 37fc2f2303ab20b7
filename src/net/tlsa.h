#pragma once
// TLSA records (RFC 6698): what a server's certificate must be, as DNS says.

#include <cstdint>
#include <string>

namespace muster::net {

struct TlsaRecord {
    std::uint8_t usage = 0;
    std::uint8_t selector = 0;
    std::uint8_t matching = 0;
    std::string data;  ///< octets
    friend bool operator==(const TlsaRecord&, const TlsaRecord&) = default;
};

}  // namespace muster::net
