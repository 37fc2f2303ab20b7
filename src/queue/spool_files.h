#pragma once
// A spool's folders and the files in them. No index, no threads, no locks.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "queue/body.h"
#include "queue/disk.h"
#include "queue/message_file.h"
#include "queue/spare_files.h"

namespace muster::queue {

enum class Shelf : std::uint8_t { Active, Hold };

/// A message's name in a folder, and where on disk it may lie.
struct FoundFile {
    PackedId id;
    std::uint64_t inode = 0;
    Shelf shelf = Shelf::Active;
};

/// A message file, read.
struct MessageFile {
    FileContents contents;
    File file;
    std::string body;        ///< when `body_read`
    bool body_read = false;  ///< the file was small, and its checksum is right
    Shelf shelf = Shelf::Active;
};

/// Thread-safe.
class SpoolFiles {
public:
    /// Files up to `largest_spare` bytes are written over when they are done (see SpareFiles); it
    /// must be less than what a Content keeps in memory.
    static Result<SpoolFiles> open(const std::string& folder, std::uint64_t largest_spare = 0);

    [[nodiscard]] const std::string& folder() const { return folder_; }
    [[nodiscard]] std::string incoming() const { return folder_ + "/incoming"; }

    /// Writes a new file, unsynced. A spilled text's own file becomes it, if nobody took that
    /// before. Nothing is left after an error.
    Result<File> create(const QueueId& id, Shelf shelf, const Envelope& envelope,
                        const Content& content) const;
    /// NotFound, Io; Corrupt when it is not a whole message. At most `at_once` bytes are read with
    /// the first call to the system.
    Result<MessageFile> read(const QueueId& id, std::size_t at_once) const;
    /// Where the file is; both shelves are tried.
    Result<> append(const QueueId& id, std::string_view lines) const;
    Result<> remove(const QueueId& id) const;
    /// As remove(), but the file may serve another message.
    Result<> retire(const QueueId& id) const;
    /// Forgets files that served nobody for a while; call now and then, true when none is left.
    bool tidy() const { return spare_ == nullptr || spare_->tidy(); }
    Result<> move(const QueueId& id, Shelf from, Shelf to) const;
    /// To corrupt/, and says so in the log; an empty file is removed. True when it was moved.
    bool set_aside(const QueueId& id, std::string_view reason) const;
    /// Cuts a last line that was not written to its end.
    static void repair(const MessageFile& message);

    /// Every message's name: by bucket, oldest first, and as they lie on disk within; then hold/.
    [[nodiscard]] Result<std::vector<FoundFile>> list() const;
    /// Removes what is left in incoming/ (returns how many), and another process's spare files.
    [[nodiscard]] std::uint64_t clean_incoming() const;
    /// Removes the bucket if it is empty.
    void remove_bucket(std::string_view bucket) const;
    [[nodiscard]] std::vector<std::string> buckets() const;

    [[nodiscard]] std::string path_of(const QueueId& id, Shelf shelf) const;
    /// Takes a file from elsewhere on the same file system. Io with the reason in `error` (EXDEV
    /// …).
    [[nodiscard]] bool take_over(const std::string& from, const QueueId& id, Shelf shelf,
                                 int& error) const;

    /// Everything written so far is on disk when it returns.
    Result<> sync() const;
    /// One new file and its name (fsync: a renamed file has no new data).
    Result<> sync_file(const File& file, const QueueId& id, Shelf shelf) const;
    /// Bytes that are free for us.
    Result<std::uint64_t> free_bytes() const;

private:
    SpoolFiles() = default;
    Result<File> create_copy(const std::string& path, const FileText& text,
                             const Content& content) const;
    Result<File> open_new(const std::string& path) const;
    /// Empty without a spare file: nothing was done.
    std::optional<Result<File>> write_over(const std::string& path, const FileText& text,
                                           const Content& content) const;
    [[nodiscard]] bool rename_to(const std::string& from, const std::string& to) const;
    bool make_bucket(const std::string& path) const;
    static std::string relative(const QueueId& id, Shelf shelf);

    std::string folder_;
    File root_;
    /// The file system makes a synced file's name durable, too (ext4, XFS).
    bool names_with_files_ = false;
    std::unique_ptr<SpareFiles> spare_;
};

/// Names in a folder but `.` and `..`; empty when it cannot be read.
std::vector<std::string> names_in(const std::string& folder);

}  // namespace muster::queue
