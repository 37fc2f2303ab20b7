#pragma once
// System calls on files, with errors as values.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace muster::queue {

/// Limit for a full disk or quota, Io for all else; `what` and the reason in the detail only.
std::unexpected<Error> disk_error(int error, const std::string& what);

/// All of `bytes`.
Result<> write_at(int fd, std::uint64_t offset, std::string_view bytes);
/// Fills `into` as far as the file goes; returns how far.
Result<std::size_t> read_at(int fd, std::uint64_t offset, std::string& into);

/// An open descriptor, closed with it.
class File {
public:
    File() = default;
    explicit File(int fd) : fd_(fd) {}
    File(File&& other) noexcept : fd_(other.release()) {}
    File& operator=(File&& other) noexcept {
        const int mine = fd_;
        fd_ = other.fd_;
        other.fd_ = mine;
        return *this;
    }
    ~File();

    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] bool open() const { return fd_ >= 0; }
    int release() {
        const int mine = fd_;
        fd_ = -1;
        return mine;
    }

private:
    int fd_ = -1;
};

Result<File> open_folder(const std::string& path);
/// Makes it when it is not there (mode 0700).
Result<File> make_folder(const std::string& path);
/// Written beside its place, synced with its folder, then renamed: old text or new, also after a
/// power cut.
Result<> replace_file(const std::string& folder, const std::string& name, std::string_view text);
/// NotFound when there is none.
Result<std::string> read_small_file(const std::string& path, std::size_t limit = 4096);

}  // namespace muster::queue
