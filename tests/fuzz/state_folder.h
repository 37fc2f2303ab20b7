#pragma once
// A folder in memory for the targets that need files; made anew for each input.

#include <unistd.h>

#include <filesystem>
#include <string>

namespace muster::fuzz {

class Folder {
public:
    Folder() : path_("/dev/shm/muster-fuzz-" + std::to_string(::getpid())) {
        std::filesystem::remove_all(path_);
        std::filesystem::create_directories(path_);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { std::filesystem::remove_all(path_); }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

}  // namespace muster::fuzz
