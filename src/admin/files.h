#pragma once
// Small files that must be whole or not there.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace muster::admin {

Result<std::string> read_file(const std::string& path, std::size_t limit = 64 << 20);
/// Written beside its place, synced, then renamed: readers see the old text or the new one.
Result<> write_file(const std::string& path, std::string_view text, unsigned mode = 0644);
/// The same in pieces, for what is too large to be held: nothing is there before finish(), and
/// nothing is left without it. One thread.
class WholeFile {
public:
    static Result<WholeFile> create(std::string path, unsigned mode = 0644);
    ~WholeFile();
    WholeFile(WholeFile&& other) noexcept;
    WholeFile(const WholeFile&) = delete;
    WholeFile& operator=(const WholeFile&) = delete;
    WholeFile& operator=(WholeFile&&) = delete;

    Result<> write(std::string_view text);
    Result<> finish();

private:
    WholeFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
    [[nodiscard]] std::string beside() const { return path_ + ".new"; }

    std::string path_;
    int descriptor_ = -1;
};

/// With all folders above it. What exists keeps its mode.
Result<> make_folder(const std::string& path, unsigned mode = 0755);
bool exists(const std::string& path);

}  // namespace muster::admin
