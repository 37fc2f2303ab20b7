#pragma once
// CRC-32C (Castagnoli), as iSCSI and ext4 use it: tells a torn or damaged text from a whole one.

#include <cstdint>
#include <string_view>

namespace muster::queue {

/// Of `bytes` after what gave `before` (0 at the start). About 2 GB/s.
[[nodiscard]] std::uint32_t crc32c(std::uint32_t before, std::string_view bytes);

/// Of what came after the bytes that gave `before`, when it was `size` bytes long and gave `whole`
/// together with them. Some microseconds, whatever the size.
[[nodiscard]] std::uint32_t crc32c_of_rest(std::uint32_t whole, std::uint32_t before,
                                           std::uint64_t size);

}  // namespace muster::queue
