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

/// Polynomials over GF(2) modulo that of CRC-32C, lowest power in the highest bit.
constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
    std::uint32_t product = 0;
    for (std::uint32_t bit = 1u << 31; bit != 0; bit >>= 1) {
        if ((a & bit) != 0) product ^= b;
        b = b >> 1 ^ ((b & 1) != 0 ? 0x82f63b78u : 0);
    }
    return product;
}

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

// crc(AB) = crc(B) ^ crc(A) * x^(8 * |B|), as zlib's crc32_combine() has it.
std::uint32_t crc32c_of_rest(std::uint32_t whole, std::uint32_t before, std::uint64_t size) {
    std::uint32_t shift = 1u << 31;
    for (std::uint32_t power = 1u << 23; size != 0; size >>= 1) {
        if ((size & 1) != 0) shift = multiply(shift, power);
        power = multiply(power, power);
    }
    return whole ^ multiply(before, shift);
}

}  // namespace muster::queue
