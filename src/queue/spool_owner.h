#pragma once
// The lock and the OWNER file of a spool's folder.

#include <cstdint>
#include <string>

#include "queue/disk.h"
#include "queue/owner.h"

namespace muster::queue {

/// A lock on FOLDER/lock (flock), until it is destroyed. Conflict when another process has it.
Result<File> lock_spool(const std::string& folder);

/// Durable when it returns.
Result<> write_owner(const std::string& folder, const Owner& owner);
/// NotFound without one, Corrupt.
Result<Owner> read_owner(const std::string& folder);

/// Tells whether the OWNER file is still the one that was there first: a take-over renames another
/// one into its place. Thread-safe.
class OwnerWatch {
public:
    explicit OwnerWatch(std::string folder);
    /// One call to the system.
    [[nodiscard]] bool unchanged() const;

private:
    std::string path_;
    std::uint64_t device_ = 0;
    std::uint64_t inode_ = 0;
    File held_;  ///< keeps the inode's number from being given again
};

}  // namespace muster::queue
