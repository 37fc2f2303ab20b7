#include "base/proc_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>

namespace muster {

std::string read_proc_file(const std::string& path) {
    constexpr std::size_t kMost = std::size_t{64} << 20;
    std::string text;
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return text;
    std::array<char, 4096> piece;
    while (text.size() < kMost) {
        const ssize_t got = ::read(fd, piece.data(), piece.size());
        if (got <= 0) break;
        text.append(piece.data(), static_cast<std::size_t>(got));
    }
    ::close(fd);
    return text;
}

}  // namespace muster
