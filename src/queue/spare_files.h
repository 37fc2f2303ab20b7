#pragma once
// Files of messages that are done, kept to be written over.

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>

#include "queue/disk.h"

namespace muster::queue {

/// Making and removing a file for each message is what a queue costs most: ext4 searches past every
/// inode that was freed in the last minutes, and freed blocks are discarded. So small files are
/// renamed to `spare/`, and become the next messages' files: written over first, renamed
/// afterwards. A power cut in between leaves a file whose id or checksum is wrong, never a message
/// that was acknowledged. What is not needed for a while is removed, as is what a reader might have
/// open (large files), or somebody has linked. Thread-safe.
class SpareFiles {
public:
    /// `root` is the spool's folder, held open elsewhere. Removes what an earlier process left.
    static Result<> prepare(const std::string& folder);
    SpareFiles(int root, std::uint64_t largest) : root_(root), largest_(largest) {}
    SpareFiles(const SpareFiles&) = delete;
    SpareFiles& operator=(const SpareFiles&) = delete;
    ~SpareFiles();

    struct Spare {
        std::string path;  ///< relative to the root; now the caller's
        std::uint64_t length = 0;
    };
    [[nodiscard]] std::optional<Spare> take();
    /// False when it is not to be kept: remove it.
    [[nodiscard]] bool give(const std::string& path);
    /// Removes all, if none was taken since the last call; false while there is more to look after.
    bool tidy();

private:
    const int root_;
    const std::uint64_t largest_;
    std::mutex mutex_;
    std::deque<Spare> spares_;
    std::uint64_t next_ = 0;
    bool used_ = false;
};

}  // namespace muster::queue
