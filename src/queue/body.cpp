#include "queue/body.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "base/release.h"
#include "queue/checksum.h"
#include "queue/disk.h"
#include "queue/room.h"

namespace muster::queue {
namespace {

/// Smaller pieces of a spilled text are gathered: a page is written once.
constexpr std::size_t kPiece = std::size_t{4} << 10;
/// How often room is asked for.
constexpr std::size_t kRoomEvery = std::size_t{1} << 20;

}  // namespace

Content::~Content() {
    if (fd_ >= 0) ::close(fd_);
    if (!spill_path_.empty()) ::unlink(spill_path_.c_str());
}

std::shared_ptr<const Content> Content::of(std::string text) {
    std::shared_ptr<Content> content(new Content);
    content->size_ = text.size();
    content->checksum_ = crc32c(0, text);
    content->memory_ = std::move(text);
    return content;
}

std::shared_ptr<const Content> Content::of_file(int fd, std::uint64_t offset, std::uint64_t size,
                                                std::uint32_t checksum) {
    std::shared_ptr<Content> content(new Content);
    content->fd_ = fd;
    content->offset_ = offset;
    content->size_ = size;
    content->checksum_ = checksum;
    return content;
}

Result<std::string_view> BodyReader::next() {
    const Content& content = *content_;
    const std::uint64_t left = content.size_ - at_;
    if (content.in_memory()) {
        at_ = content.size_;
        return std::string_view(content.memory_).substr(content.size_ - left);
    }
    buffer_.resize(std::min<std::uint64_t>(left, kChunk));
    const auto got = read_at(content.fd_, content.offset_ + at_, buffer_);
    if (!got) return std::unexpected(got.error());
    at_ += *got;
    if (*got < buffer_.size()) return fail(ErrorKind::Corrupt, "a queued message was cut short");
    return std::string_view(buffer_);
}

Body::Body(std::size_t memory_limit, std::string folder, Room* room)
    : memory_limit_(memory_limit), folder_(std::move(folder)), room_(room) {}

Body::Body(Body&& other) noexcept
    : memory_limit_(other.memory_limit_),
      folder_(other.folder_),
      room_(other.room_),
      next_ask_(std::exchange(other.next_ask_, 0)),
      pending_(std::move(other.pending_)),
      fd_(std::exchange(other.fd_, -1)),
      path_(std::exchange(other.path_, {})),
      size_(std::exchange(other.size_, 0)),
      checksum_(std::exchange(other.checksum_, 0)) {
    other.pending_.clear();
}

Body& Body::operator=(Body&& other) noexcept {
    std::swap(memory_limit_, other.memory_limit_);
    std::swap(folder_, other.folder_);
    std::swap(room_, other.room_);
    std::swap(next_ask_, other.next_ask_);
    std::swap(pending_, other.pending_);
    std::swap(fd_, other.fd_);
    std::swap(path_, other.path_);
    std::swap(size_, other.size_);
    std::swap(checksum_, other.checksum_);
    return *this;
}

Body::~Body() {
    if (fd_ >= 0) ::close(fd_);
    if (!path_.empty()) ::unlink(path_.c_str());
}

Result<> Body::append(std::string_view bytes) {
    checksum_ = crc32c(checksum_, bytes);
    size_ += bytes.size();
    if (fd_ < 0 && size_ > memory_limit_) {
        if (auto opened = spill(); !opened) return opened;
    }
    if (fd_ < 0 || pending_.size() + bytes.size() < kPiece) {
        pending_.append(bytes);
        return {};
    }
    if (room_ != nullptr && size_ >= next_ask_) {
        // What was written is missing on the disk already.
        if (auto has = room_->check(kRoomEvery); !has) return has;
        next_ask_ = size_ + kRoomEvery;
    }
    // What is large goes to the file from where it is: many sessions may wait at this point.
    return write_out(bytes);
}

Result<> Body::spill() {
    const char* temporary = std::getenv("TMPDIR");
    const std::string folder = !folder_.empty()       ? folder_
                               : temporary != nullptr ? temporary
                                                      : "/tmp";
    std::string path = folder + "/text-XXXXXX";
    fd_ = ::mkostemp(path.data(), O_CLOEXEC);
    if (fd_ < 0) return disk_error(errno, path);
    if (folder_.empty()) {
        ::unlink(path.c_str());
    } else {
        path_ = std::move(path);
    }
    return {};
}

Result<> Body::write_out(std::string_view rest) {
    const std::uint64_t at = kReservedHead + size_ - rest.size();
    if (!pending_.empty()) {
        if (auto written = write_at(fd_, at - pending_.size(), pending_); !written) return written;
        release(pending_);
    }
    return write_at(fd_, at, rest);
}

Result<std::shared_ptr<const Content>> Body::finish() {
    Body taken(memory_limit_, folder_, room_);
    std::swap(taken, *this);
    if (taken.fd_ >= 0) {
        if (auto written = taken.write_out({}); !written) return std::unexpected(written.error());
    }
    std::shared_ptr<Content> content(new Content);
    content->fd_ = std::exchange(taken.fd_, -1);
    content->offset_ = content->fd_ < 0 ? 0 : kReservedHead;
    content->size_ = taken.size_;
    content->checksum_ = taken.checksum_;
    content->spill_path_ = std::exchange(taken.path_, {});
    if (content->fd_ < 0) content->memory_ = std::move(taken.pending_);
    return content;
}

}  // namespace muster::queue
