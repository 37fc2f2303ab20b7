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
/// With all folders above it. What exists keeps its mode.
Result<> make_folder(const std::string& path, unsigned mode = 0755);
bool exists(const std::string& path);

}  // namespace muster::admin
