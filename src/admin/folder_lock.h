#pragma once
// One process a state folder.

#include <string>

#include "base/error.h"

namespace muster::admin {

/// An advisory lock (flock) on `FOLDER/node.lock`, until it is destroyed or the process ends.
class FolderLock {
public:
    FolderLock() = default;
    ~FolderLock();
    FolderLock(FolderLock&& other) noexcept;
    FolderLock& operator=(FolderLock&& other) noexcept;

    [[nodiscard]] bool held() const { return fd_ >= 0; }
    /// The file belongs to whom the folder belongs, also when root made it. Conflict when another
    /// process holds it, Io when the file cannot be made.
    static Result<FolderLock> take(const std::string& folder);

private:
    int fd_ = -1;
};

}  // namespace muster::admin
