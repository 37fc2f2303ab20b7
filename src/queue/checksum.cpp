#include "queue/checksum.h"

#include <array>
#include <bit>
#include <cstring>

namespace muster::queue {
namespace {

static_assert(std::endian::native == std::endian::little);
using Table = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Table kTable = [] {
    Table table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ ((value & 1) != 0 ? 0x82f63b78u : 0);
        table[0][i] = value;
    }
    for (std::uint32_t i = 0; i < 256; ++i) {
        for (std::size_t k = 1; k < 8; ++k) {
            table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 0xff];
        }
    }
    return table;
}();

}  // namespace

std::uint32_t crc32c(std::uint32_t before, std::string_view bytes) {
    std::uint32_t crc = ~before;
    const char* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; at += 8, left -= 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, at, 8);
        word ^= crc;
        crc = 0;
        for (std::size_t k = 0; k < 8; ++k) crc ^= kTable[7 - k][word >> (8 * k) & 0xff];
    }
    for (; left > 0; ++at, --left) {
        crc = crc >> 8 ^ kTable[0][(crc ^ static_cast<unsigned char>(*at)) & 0xff];
    }
    return ~crc;
}

}  // namespace muster::queue
