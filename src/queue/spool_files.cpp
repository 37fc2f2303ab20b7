#include "queue/spool_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>

#include "base/log.h"
#include "queue/checksum.h"

namespace muster::queue {
namespace {

/// Guards Content::spill_path_: one commit alone may make the file its own.
std::mutex spill_mutex;

Result<> write_all(int fd, std::string_view head, std::string_view body, std::string_view tail) {
    std::array<iovec, 3> parts{{{const_cast<char*>(head.data()), head.size()},
                                {const_cast<char*>(body.data()), body.size()},
                                {const_cast<char*>(tail.data()), tail.size()}}};
    const ssize_t written = ::writev(fd, parts.data(), parts.size());
    if (written < 0 && errno != EINTR) return disk_error(errno, "writing to the queue");
    std::uint64_t done = written < 0 ? 0 : static_cast<std::uint64_t>(written);
    std::uint64_t start = 0;
    for (const std::string_view part : {head, body, tail}) {
        const std::uint64_t end = start + part.size();
        if (done < end) {
            auto rest = write_at(fd, done, part.substr(done - start));
            if (!rest) return rest;
            done = end;
        }
        start = end;
    }
    return {};
}

template <typename Visit>
void for_each_entry(const std::string& folder, Visit visit) {
    DIR* const stream = ::opendir(folder.c_str());
    if (stream == nullptr) return;
    while (const dirent* entry = ::readdir(stream)) visit(entry->d_name, entry->d_ino);
    ::closedir(stream);
}

bool names_are_durable(int fd) {
    struct statfs file_system{};
    if (::fstatfs(fd, &file_system) != 0) return false;
    return file_system.f_type == EXT4_SUPER_MAGIC || file_system.f_type == XFS_SUPER_MAGIC;
}

/// The part after the message.
Result<std::string> read_tail(int fd, const Layout& layout) {
    struct stat status{};
    if (::fstat(fd, &status) != 0) return disk_error(errno, "a queue file");
    const auto length = static_cast<std::uint64_t>(status.st_size);
    if (length < layout.tail() || length - layout.tail() > 2 * kLongestHead) {
        return fail(ErrorKind::Corrupt, "a queue file is damaged", "it has the wrong length");
    }
    std::string tail(length - layout.tail(), '\0');
    const auto got = read_at(fd, layout.tail(), tail);
    if (!got) return std::unexpected(got.error());
    tail.resize(*got);
    return tail;
}

/// All parts are in `bytes`, which end where the file ends.
Result<> parse_small(std::string_view bytes, const Layout& layout, MessageFile& message) {
    const std::string_view body = bytes.substr(layout.head, layout.size);
    auto contents = parse_file(bytes.substr(0, layout.head), bytes.substr(layout.tail()));
    if (!contents) return std::unexpected(contents.error());
    if (crc32c(0, body) != layout.checksum) {
        return fail(ErrorKind::Corrupt, "a queue file is damaged", "the message has changed");
    }
    message.contents = std::move(*contents);
    message.body = body;
    message.body_read = true;
    return {};
}

Result<> parse_large(std::string_view bytes, const Layout& layout, MessageFile& message) {
    std::string longer;
    if (layout.head > bytes.size()) {
        longer.resize(layout.head);
        const auto got = read_at(message.file.fd(), 0, longer);
        if (!got) return std::unexpected(got.error());
        longer.resize(*got);
    }
    const std::string_view head = longer.empty() ? bytes.substr(0, layout.head) : longer;
    const auto tail = read_tail(message.file.fd(), layout);
    if (!tail) return std::unexpected(tail.error());
    auto contents = parse_file(head, *tail);
    if (!contents) return std::unexpected(contents.error());
    message.contents = std::move(*contents);
    return {};
}

}  // namespace

std::vector<std::string> names_in(const std::string& folder) {
    std::vector<std::string> names;
    for_each_entry(folder, [&names](std::string_view name, std::uint64_t) {
        if (name != "." && name != "..") names.emplace_back(name);
    });
    return names;
}

Result<SpoolFiles> SpoolFiles::open(const std::string& folder, std::uint64_t largest_spare) {
    SpoolFiles files;
    files.folder_ = folder;
    auto root = make_folder(folder);
    if (!root) return std::unexpected(root.error());
    files.root_ = std::move(*root);
    files.names_with_files_ = names_are_durable(files.root_.fd());
    for (const char* name : {"/incoming", "/active", "/hold", "/corrupt"}) {
        const auto made = make_folder(folder + name);
        if (!made) return std::unexpected(made.error());
    }
    // Only where a journal keeps all renames in order.
    if (largest_spare > 0 && files.names_with_files_) {
        if (auto ready = SpareFiles::prepare(folder); !ready) return std::unexpected(ready.error());
        files.spare_ = std::make_unique<SpareFiles>(files.root_.fd(), largest_spare);
    }
    return files;
}

std::string SpoolFiles::relative(const QueueId& id, Shelf shelf) {
    std::string path;
    path.reserve(40);
    if (shelf == Shelf::Hold) return path.append("hold/").append(id.text);
    return path.append("active/").append(id.text, 0, kBucketLength).append("/").append(id.text);
}

std::string SpoolFiles::path_of(const QueueId& id, Shelf shelf) const {
    return folder_ + "/" + relative(id, shelf);
}

bool SpoolFiles::make_bucket(const std::string& path) const {
    const std::string bucket = path.substr(0, path.rfind('/'));
    if (::mkdirat(root_.fd(), bucket.c_str(), 0700) != 0) return errno == EEXIST;
    if (names_with_files_) return true;
    const File parent(::openat(root_.fd(), "active", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return ::fsync(parent.fd()) == 0;
}

Result<File> SpoolFiles::open_new(const std::string& path) const {
    for (int tries = 0;; ++tries) {
        File file(::openat(root_.fd(), path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        if (file.open()) return file;
        // A bucket is removed when it is empty, perhaps just now.
        if (errno != ENOENT || tries == 3 || !make_bucket(path)) return disk_error(errno, path);
    }
}

Result<File> SpoolFiles::create_copy(const std::string& path, const FileText& text,
                                     const Content& content) const {
    auto file = open_new(path);
    if (!file) return file;
    const auto write = [&]() -> Result<> {
        if (content.in_memory())
            return write_all(file->fd(), text.head, content.memory(), text.tail);
        auto head = write_at(file->fd(), 0, text.head);
        if (!head) return head;
        // Not owned: the content outlives the reader.
        BodyReader reader(std::shared_ptr<const Content>(std::shared_ptr<void>(), &content));
        for (std::uint64_t at = text.head.size();;) {
            const auto chunk = reader.next();
            if (!chunk) return std::unexpected(chunk.error());
            if (chunk->empty()) return write_at(file->fd(), at, text.tail);
            if (auto written = write_at(file->fd(), at, *chunk); !written) return written;
            at += chunk->size();
        }
    };
    if (auto written = write(); !written) {
        ::unlinkat(root_.fd(), path.c_str(), 0);
        return std::unexpected(written.error());
    }
    return file;
}

bool SpoolFiles::rename_to(const std::string& from, const std::string& to) const {
    if (::renameat(root_.fd(), from.c_str(), root_.fd(), to.c_str()) == 0) return true;
    if (errno != ENOENT || to.starts_with("hold/") || !make_bucket(to)) return false;
    return ::renameat(root_.fd(), from.c_str(), root_.fd(), to.c_str()) == 0;
}

std::optional<Result<File>> SpoolFiles::write_over(const std::string& path, const FileText& text,
                                                   const Content& content) const {
    if (spare_ == nullptr || !content.in_memory()) return {};
    const auto spare = spare_->take();
    if (!spare) return {};
    File file(::openat(root_.fd(), spare->path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!file.open()) return {};
    auto written = write_all(file.fd(), text.head, content.memory(), text.tail);
    const std::uint64_t length = text.head.size() + content.size() + text.tail.size();
    if (written && spare->length > length &&
        ::ftruncate(file.fd(), static_cast<off_t>(length)) != 0) {
        written = disk_error(errno, spare->path);
    }
    if (written && !rename_to(spare->path, path)) written = disk_error(errno, path);
    if (written) return file;
    ::unlinkat(root_.fd(), spare->path.c_str(), 0);
    return std::unexpected(written.error());
}

Result<File> SpoolFiles::create(const QueueId& id, Shelf shelf, const Envelope& envelope,
                                const Content& content) const {
    const std::string path = relative(id, shelf);
    std::string spilled;
    if (!content.in_memory()) {
        const std::scoped_lock lock(spill_mutex);
        spilled.swap(content.spill_path_);
    }
    const FileText text = render(id, envelope, content.size(), content.checksum(),
                                 spilled.empty() ? 0 : kReservedHead);
    if (spilled.empty()) {
        if (auto file = write_over(path, text, content)) return std::move(*file);
        return create_copy(path, text, content);
    }
    File file(::open(spilled.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    const auto write = [&]() -> Result<> {
        if (!file.open()) return disk_error(errno, spilled);
        auto head = write_at(file.fd(), 0, text.head);
        if (!head) return head;
        return write_at(file.fd(), kReservedHead + content.size(), text.tail);
    };
    auto written = write();
    if (written && !rename_to(spilled, path)) written = disk_error(errno, path);
    if (written) return file;
    ::unlink(spilled.c_str());
    return std::unexpected(written.error());
}

Result<MessageFile> SpoolFiles::read(const QueueId& id, std::size_t at_once) const {
    MessageFile message;
    for (const Shelf shelf : {Shelf::Active, Shelf::Hold}) {
        message.shelf = shelf;
        message.file =
            File(::openat(root_.fd(), relative(id, shelf).c_str(), O_RDONLY | O_CLOEXEC));
        if (message.file.open() || errno != ENOENT) break;
    }
    if (!message.file.open() && errno == ENOENT) {
        return fail(ErrorKind::NotFound, "no such message in the queue");
    }
    if (!message.file.open()) return disk_error(errno, path_of(id, message.shelf));
    thread_local std::string buffer;
    buffer.resize(at_once);
    const auto got = read_at(message.file.fd(), 0, buffer);
    if (!got) return std::unexpected(got.error());
    const std::string_view bytes = std::string_view(buffer).substr(0, *got);
    const auto layout = parse_layout(bytes);
    if (!layout) return std::unexpected(layout.error());
    if (layout->id != id) {
        return fail(ErrorKind::Corrupt, "a queue file is damaged", "it has another message's id");
    }
    const bool small = bytes.size() < at_once && layout->tail() <= bytes.size();
    auto parsed =
        small ? parse_small(bytes, *layout, message) : parse_large(bytes, *layout, message);
    if (!parsed) return std::unexpected(parsed.error());
    return message;
}

Result<> SpoolFiles::append(const QueueId& id, std::string_view lines) const {
    for (const Shelf shelf : {Shelf::Active, Shelf::Hold}) {
        const std::string path = relative(id, shelf);
        const File file(
            ::openat(root_.fd(), path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW));
        if (!file.open() && errno == ENOENT) continue;
        if (!file.open()) return disk_error(errno, path);
        const ssize_t written = ::write(file.fd(), lines.data(), lines.size());
        if (written == static_cast<ssize_t>(lines.size())) return {};
        const int error = written < 0 ? errno : ENOSPC;
        // A line without its end would spoil the next one.
        const off_t end = ::lseek(file.fd(), 0, SEEK_END);
        if (written > 0 && end > written && ::ftruncate(file.fd(), end - written) != 0) {
            return disk_error(errno, path);
        }
        return disk_error(error, path);
    }
    return fail(ErrorKind::NotFound, "no such message in the queue");
}

Result<> SpoolFiles::remove(const QueueId& id) const {
    for (const Shelf shelf : {Shelf::Active, Shelf::Hold}) {
        const std::string path = relative(id, shelf);
        if (::unlinkat(root_.fd(), path.c_str(), 0) == 0) return {};
        if (errno != ENOENT) return disk_error(errno, path);
    }
    return fail(ErrorKind::NotFound, "no such message in the queue");
}

Result<> SpoolFiles::retire(const QueueId& id) const {
    if (spare_ != nullptr && spare_->give(relative(id, Shelf::Active))) return {};
    return remove(id);
}

Result<> SpoolFiles::move(const QueueId& id, Shelf from, Shelf to) const {
    int error = 0;
    if (take_over(path_of(id, from), id, to, error)) return {};
    if (error == ENOENT) return fail(ErrorKind::NotFound, "no such message in the queue");
    return disk_error(error, path_of(id, from));
}

bool SpoolFiles::take_over(const std::string& from, const QueueId& id, Shelf shelf,
                           int& error) const {
    if (rename_to(from, relative(id, shelf))) return true;
    error = errno;
    return false;
}

bool SpoolFiles::set_aside(const QueueId& id, std::string_view reason) const {
    for (const Shelf shelf : {Shelf::Active, Shelf::Hold}) {
        const std::string path = relative(id, shelf);
        struct stat status{};
        if (::fstatat(root_.fd(), path.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
        if (status.st_size == 0) {
            ::unlinkat(root_.fd(), path.c_str(), 0);
            return false;
        }
        const std::string to = "corrupt/" + id.text;
        if (::renameat(root_.fd(), path.c_str(), root_.fd(), to.c_str()) != 0) continue;
        log::error("queue-file-corrupt",
                   {{"queue_id", id}, {"reason", reason}, {"moved_to", folder_ + "/" + to}});
        return true;
    }
    return false;
}

void SpoolFiles::repair(const MessageFile& message) {
    const std::uint64_t whole = message.contents.layout.tail() + message.contents.whole;
    struct stat status{};
    if (::fstat(message.file.fd(), &status) != 0) return;
    if (static_cast<std::uint64_t>(status.st_size) == whole) return;
    const std::string own = "/proc/self/fd/" + std::to_string(message.file.fd());
    const File file(::open(own.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file.open() || ::ftruncate(file.fd(), static_cast<off_t>(whole)) != 0) {
        log::warning("queue-file-repair-failed", {{"queue_id", message.contents.layout.id}});
    }
}

std::vector<std::string> SpoolFiles::buckets() const {
    std::vector<std::string> buckets;
    for (std::string& name : names_in(folder_ + "/active")) {
        if (name.size() == kBucketLength) buckets.push_back(std::move(name));
    }
    std::sort(buckets.begin(), buckets.end());
    return buckets;
}

Result<std::vector<FoundFile>> SpoolFiles::list() const {
    std::vector<FoundFile> found;
    const auto add = [&found](const std::string& folder, Shelf shelf) {
        const std::size_t start = found.size();
        for_each_entry(folder, [&](std::string_view name, std::uint64_t inode) {
            if (is_queue_id(name)) found.push_back({PackedId(name), inode, shelf});
        });
        std::sort(found.begin() + static_cast<std::ptrdiff_t>(start), found.end(),
                  [](const FoundFile& a, const FoundFile& b) { return a.inode < b.inode; });
    };
    for (const std::string& bucket : buckets()) add(folder_ + "/active/" + bucket, Shelf::Active);
    add(folder_ + "/hold", Shelf::Hold);
    return found;
}

std::uint64_t SpoolFiles::clean_incoming() const {
    std::uint64_t count = 0;
    for (const std::string& name : names_in(incoming())) {
        if (::unlink((incoming() + "/" + name).c_str()) == 0) ++count;
    }
    for (const std::string& name : names_in(folder_ + "/spare")) {
        if (spare_ == nullptr) ::unlink((folder_ + "/spare/" + name).c_str());
    }
    return count;
}

void SpoolFiles::remove_bucket(std::string_view bucket) const {
    ::unlinkat(root_.fd(), ("active/" + std::string(bucket)).c_str(), AT_REMOVEDIR);
}

Result<> SpoolFiles::sync() const {
    if (::syncfs(root_.fd()) == 0) return {};
    return disk_error(errno, "syncing the queue");
}

Result<> SpoolFiles::sync_file(const File& file, const QueueId& id, Shelf shelf) const {
    if (::fsync(file.fd()) != 0) return disk_error(errno, "syncing the queue");
    if (names_with_files_) return {};
    const std::string path = relative(id, shelf);
    const File parent(::openat(root_.fd(), path.substr(0, path.rfind('/')).c_str(),
                               O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!parent.open() || ::fsync(parent.fd()) != 0) return disk_error(errno, "syncing the queue");
    return {};
}

Result<std::uint64_t> SpoolFiles::free_bytes() const {
    struct statvfs status{};
    if (::fstatvfs(root_.fd(), &status) != 0) return disk_error(errno, folder_);
    if (status.f_files > 0 && status.f_favail < 1000) return 0;  // inodes run out, too
    return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

}  // namespace muster::queue
