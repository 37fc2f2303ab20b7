#include "admin/body_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace muster::admin {
namespace {

std::unexpected<Error> failed() {
    return fail(ErrorKind::Io, std::string("temporary file: ") + std::strerror(errno));
}

}  // namespace

Result<std::unique_ptr<BodyFile>> BodyFile::open(const std::string& folder) {
    const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) return failed();
    return std::make_unique<BodyFile>(fd);
}

BodyFile::~BodyFile() { ::close(fd_); }

Result<> BodyFile::append(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return failed();
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return {};
}

Result<> BodyFile::rewind() {
    if (::lseek(fd_, 0, SEEK_SET) < 0) return failed();
    return {};
}

Result<std::size_t> BodyFile::read(std::span<char> into) {
    const ssize_t count = ::read(fd_, into.data(), into.size());
    if (count < 0) return failed();
    return static_cast<std::size_t>(count);
}

// An exchange and the node outlive the handlers of the exchange.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)

Task<Result<>> receive(NodeContext& node, net::HttpExchange& exchange, BodyFile& file) {
    for (;;) {
        const auto piece = co_await exchange.next_piece();
        if (!piece) co_return std::unexpected(piece.error());
        if (piece->empty()) co_return file.rewind();
        const auto kept = co_await net::Blocking(*node.control, node.pools->calls,
                                                 [&] { return file.append(*piece); });
        if (!kept) co_return std::unexpected(kept.error());
    }
}

// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)

}  // namespace muster::admin
