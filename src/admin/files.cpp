#include "admin/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

namespace muster::admin {
namespace {

std::unexpected<Error> failed(const std::string& path) {
    return fail(ErrorKind::Io, path + ": " + std::strerror(errno));
}

bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = ::write(fd, text.data(), text.size());
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

/// Makes the renaming itself durable.
void sync_folder_of(const std::string& path) {
    const std::string folder = std::filesystem::path(path).parent_path().string();
    const int fd =
        ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    ::fsync(fd);
    ::close(fd);
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t limit) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream) return failed(path);
    std::ostringstream content;
    content << stream.rdbuf();
    if (content.view().size() > limit) return fail(ErrorKind::Limit, path + ": too large");
    return std::move(content).str();
}

Result<> write_file(const std::string& path, std::string_view text, unsigned mode) {
    auto file = WholeFile::create(path, mode);
    if (!file) return std::unexpected(file.error());
    if (auto written = file->write(text); !written) return written;
    return file->finish();
}

Result<WholeFile> WholeFile::create(std::string path, unsigned mode) {
    const std::string beside = path + ".new";
    ::unlink(beside.c_str());
    const int fd = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) return failed(beside);
    return WholeFile(std::move(path), fd);
}

WholeFile::WholeFile(WholeFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

WholeFile::~WholeFile() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    ::unlink(beside().c_str());
}

Result<> WholeFile::write(std::string_view text) {
    if (!write_all(descriptor_, text)) return failed(beside());
    return {};
}

Result<> WholeFile::finish() {
    if (::fsync(descriptor_) != 0) return failed(beside());
    if (::rename(beside().c_str(), path_.c_str()) != 0) return failed(path_);
    ::close(std::exchange(descriptor_, -1));
    sync_folder_of(path_);
    return {};
}

Result<> make_folder(const std::string& path, unsigned mode) {
    if (::mkdir(path.c_str(), mode) == 0) return {};
    if (errno == ENOENT) {
        const std::string above = std::filesystem::path(path).parent_path().string();
        if (above.empty() || above == path) return failed(path);
        if (auto made = make_folder(above, 0755); !made) return made;
        if (::mkdir(path.c_str(), mode) == 0) return {};
    }
    if (errno == EEXIST && std::filesystem::is_directory(path)) return {};
    return failed(path);
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

}  // namespace muster::admin
