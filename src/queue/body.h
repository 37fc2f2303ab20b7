#pragma once
// A message's text while it is taken in, and afterwards.

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace muster::queue {

/// Room that a spilled message leaves for its envelope in front of the text, so that the file can
/// become the queue's without being copied.
inline constexpr std::size_t kReservedHead = 4096;
/// What BodyReader gives at most at once.
inline constexpr std::size_t kChunk = std::size_t{64} << 10;

/// A finished text: in memory, or a stretch of a file. Immutable and thread-safe; shared by all who
/// deliver it. A file stays readable here after it was renamed or removed.
class Content {
public:
    Content(const Content&) = delete;
    Content& operator=(const Content&) = delete;
    ~Content();

    /// Bytes, CRLF line ends as they came.
    [[nodiscard]] std::uint64_t size() const { return size_; }
    /// CRC-32C of the bytes.
    [[nodiscard]] std::uint32_t checksum() const { return checksum_; }
    /// True when the text is held in memory(), and costs no system call to read.
    [[nodiscard]] bool in_memory() const { return fd_ < 0; }
    [[nodiscard]] std::string_view memory() const { return memory_; }

    /// Takes the text over.
    static std::shared_ptr<const Content> of(std::string text);
    /// Takes `fd` over: `size` bytes from `offset`. `checksum` as its writer recorded it.
    static std::shared_ptr<const Content> of_file(int fd, std::uint64_t offset, std::uint64_t size,
                                                  std::uint32_t checksum);

private:
    friend class Body;
    friend class BodyReader;
    friend class SpoolFiles;
    Content() = default;

    std::string memory_;
    int fd_ = -1;
    std::uint64_t offset_ = 0;
    std::uint64_t size_ = 0;
    std::uint32_t checksum_ = 0;
    /// Of a spilled text that is not in the queue: its file, removed with the last user.
    mutable std::string spill_path_;
};

/// Reads one Content from its start; several may read the same one at once. Not thread-safe itself.
class BodyReader {
public:
    explicit BodyReader(std::shared_ptr<const Content> content) : content_(std::move(content)) {}

    /// The next bytes (at most kChunk, or all of a text in memory), valid until the next call;
    /// empty at the end. Io when the disk fails, Corrupt when the file is shorter than it was.
    /// May read from disk: from the page cache as a rule.
    Result<std::string_view> next();
    void rewind() { at_ = 0; }

private:
    std::shared_ptr<const Content> content_;
    std::uint64_t at_ = 0;
    std::string buffer_;
};

class Room;

/// Takes a message in. Memory up to a limit; past it everything goes to a file, and no more than a
/// page waits in memory. Not thread-safe; destroyed unfinished, it leaves nothing behind.
class Body {
public:
    /// Spills to a file in `folder` (a spool's `incoming/`: use Spool::new_body), or, with an empty
    /// one, to an unlinked file in the system's temporary folder.
    /// Asks `room`, which outlives it, now and then whether it may go on; null: nobody.
    Body(std::size_t memory_limit, std::string folder, Room* room = nullptr);
    Body(Body&& other) noexcept;
    Body& operator=(Body&& other) noexcept;
    ~Body();

    /// Limit when the disk is full, or full to the reserve, Io for its other failures; after one
    /// the text is lost.
    Result<> append(std::string_view bytes);
    [[nodiscard]] std::uint64_t size() const { return size_; }
    [[nodiscard]] std::uint32_t checksum() const { return checksum_; }
    [[nodiscard]] bool spilled() const { return fd_ >= 0; }

    /// Ends the taking in. The Body is empty afterwards and may take another message.
    Result<std::shared_ptr<const Content>> finish();

private:
    Result<> spill();
    /// What is pending and `rest`, which is the end of the text so far.
    Result<> write_out(std::string_view rest);

    std::size_t memory_limit_;
    std::string folder_;
    Room* room_;
    std::uint64_t next_ask_ = 0;  ///< the size at which room is asked for again
    std::string pending_;         ///< all of it, or of a spilled text what is not written yet
    int fd_ = -1;
    std::string path_;
    std::uint64_t size_ = 0;
    std::uint32_t checksum_ = 0;
};

}  // namespace muster::queue
