#include "admin/backup.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "admin/files.h"
#include "admin/folder_lock.h"
#include "base/log.h"
#include "base/seal.h"
#include "cluster/address.h"
#include "state/sqlite_store.h"

namespace muster::admin {
namespace {

// Inside the seal: this line, then for each file "NAME SIZE\n" and its bytes.
constexpr std::string_view kHead = "muster-backup 1\n";
constexpr std::array<std::string_view, 7> kFiles{"node.key",       "node.crt",  "cluster.json",
                                                 "authority.key",  "audit.log", "directory.db",
                                                 "exceptions.json"};
// Without these no node starts; a master that was no founder has no authority's key.
constexpr std::array<std::string_view, 4> kNeeded{"node.key", "node.crt", "cluster.json",
                                                  "directory.db"};
// So that a restored node follows its networks again: "networks/NAME/cluster.json".
constexpr std::string_view kNetworks = "networks/";
constexpr std::string_view kMembership = "/cluster.json";
constexpr std::size_t kBlock = 1 << 20;
constexpr std::size_t kLongestLine = 200;

std::unexpected<Error> failed(const std::string& path) {
    return fail(ErrorKind::Io, path + ": " + std::strerror(errno));
}

bool is_membership(std::string_view name) {
    if (!name.starts_with(kNetworks) || !name.ends_with(kMembership)) return false;
    name.remove_prefix(kNetworks.size());
    return name.size() > kMembership.size() &&
           cluster::parse_plain_name(name.substr(0, name.size() - kMembership.size()));
}

std::vector<std::string> files_of(const std::string& state_dir) {
    std::vector<std::string> files(kFiles.begin(), kFiles.end());
    std::error_code error;
    for (const auto& folder :
         std::filesystem::directory_iterator(state_dir + "/" + std::string(kNetworks), error)) {
        std::string name =
            std::string(kNetworks) + folder.path().filename().string() + std::string(kMembership);
        if (is_membership(name)) files.push_back(std::move(name));
    }
    return files;
}

/// A new file that is removed again unless kept.
class NewFile {
public:
    explicit NewFile(std::string path) : path_(std::move(path)) {
        fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    ~NewFile() {
        if (fd_ < 0) return;
        ::close(fd_);
        if (!kept_) ::unlink(path_.c_str());
    }
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;
    [[nodiscard]] bool open() const { return fd_ >= 0; }
    Result<> write(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
            if (count < 0 && errno == EINTR) continue;
            if (count <= 0) return failed(path_);
            bytes.remove_prefix(static_cast<std::size_t>(count));
        }
        return {};
    }
    Result<> keep() {
        if (::fsync(fd_) != 0) return failed(path_);
        kept_ = true;
        return {};
    }

private:
    std::string path_;
    int fd_ = -1;
    bool kept_ = false;
};

/// A file that is there for as long as this stands.
class ShortLived {
public:
    explicit ShortLived(std::string path) : path_(std::move(path)) { remove(); }
    ~ShortLived() { remove(); }
    ShortLived(const ShortLived&) = delete;
    ShortLived& operator=(const ShortLived&) = delete;

private:
    /// SQLite may leave files of its own beside it.
    void remove() const {
        for (const char* end : {"", "-journal", "-wal", "-shm"}) ::unlink((path_ + end).c_str());
    }
    std::string path_;
};

Result<> seal_file(Sealer& sealer, std::string_view name, const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream) return failed(path);
    std::error_code error;
    std::uintmax_t left = std::filesystem::file_size(path, error);
    if (error) return fail(ErrorKind::Io, path + ": " + error.message());
    auto written = sealer.write(std::string(name) + " " + std::to_string(left) + "\n");
    std::string block(kBlock, '\0');
    while (written && left > 0) {
        const auto size = static_cast<std::streamsize>(std::min<std::uintmax_t>(left, kBlock));
        if (!stream.read(block.data(), size)) return fail(ErrorKind::Io, path + ": cut off");
        written = sealer.write(std::string_view(block).substr(0, static_cast<std::size_t>(size)));
        left -= static_cast<std::uintmax_t>(size);
    }
    return written;
}

/// Takes the plain bytes of a backup and lays its files out in a folder.
class Unpacker {
public:
    explicit Unpacker(std::string folder) : folder_(std::move(folder)) {}

    Result<> take(std::string_view bytes) {
        while (!bytes.empty()) {
            auto used = left_ > 0 ? take_content(bytes) : take_line(bytes);
            if (!used) return std::unexpected(used.error());
            bytes.remove_prefix(*used);
        }
        return {};
    }
    [[nodiscard]] bool whole() const { return begun_ && left_ == 0 && line_.empty(); }
    [[nodiscard]] bool has(std::string_view name) const { return names_.contains(name); }

private:
    Result<std::size_t> take_content(std::string_view bytes) {
        const std::size_t size = std::min<std::uintmax_t>(left_, bytes.size());
        if (auto written = file_->write(bytes.substr(0, size)); !written) {
            return std::unexpected(written.error());
        }
        left_ -= size;
        if (left_ == 0) {
            if (auto kept = file_->keep(); !kept) return std::unexpected(kept.error());
        }
        return size;
    }
    Result<std::size_t> take_line(std::string_view bytes) {
        const std::size_t end = bytes.find('\n');
        const std::size_t size = end == std::string_view::npos ? bytes.size() : end + 1;
        line_ += bytes.substr(0, size);
        if (line_.size() > kLongestLine) return damaged();
        if (end == std::string_view::npos) return size;
        const std::string line = std::exchange(line_, {});
        if (!begun_) {
            if (line != kHead) return fail(ErrorKind::Corrupt, "made by another version");
            begun_ = true;
            return size;
        }
        if (auto opened = open(line); !opened) return std::unexpected(opened.error());
        return size;
    }
    Result<> open(const std::string& line) {
        const std::size_t space = line.find(' ');
        const std::string name = line.substr(0, space);
        const bool is_ours = std::ranges::find(kFiles, name) != kFiles.end();
        if (space == std::string::npos || !(is_ours || is_membership(name))) return damaged();
        if (!is_ours) {
            const std::string folder = folder_ + "/" + name.substr(0, name.rfind('/'));
            for (const auto& made : {folder_ + "/networks", folder}) {
                if (auto there = make_folder(made, 0700); !there) return there;
            }
        }
        const char* const last = line.data() + line.size() - 1;
        if (std::from_chars(line.data() + space + 1, last, left_).ptr != last) return damaged();
        file_ = std::make_unique<NewFile>(folder_ + "/" + name);
        if (!file_->open()) return failed(folder_ + "/" + name);
        names_.insert(name);
        return left_ == 0 ? file_->keep() : Result<>{};
    }
    static std::unexpected<Error> damaged() {
        return fail(ErrorKind::Corrupt, "the backup is damaged");
    }

    std::string folder_;
    std::string line_;
    std::unique_ptr<NewFile> file_;
    std::uintmax_t left_ = 0;
    std::set<std::string, std::less<>> names_;
    bool begun_ = false;
};

Result<> unpack(const std::string& path, const std::string& passphrase, const std::string& folder) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream) return failed(path);
    Unpacker unpacker(folder);
    Unsealer unsealer(SealSecret::passphrase(passphrase),
                      [&unpacker](std::string_view bytes) { return unpacker.take(bytes); });
    std::string block(kBlock, '\0');
    while (stream.read(block.data(), kBlock) || stream.gcount() > 0) {
        const std::string_view read(block.data(), static_cast<std::size_t>(stream.gcount()));
        if (auto written = unsealer.write(read); !written) return written;
    }
    if (auto finished = unsealer.finish(); !finished) return finished;
    if (!unpacker.whole()) return fail(ErrorKind::Corrupt, "the backup is cut off");
    for (const std::string_view name : kNeeded) {
        if (unpacker.has(name)) continue;
        return fail(ErrorKind::Corrupt, "the backup has no " + std::string(name));
    }
    return {};
}

/// Followers must notice that history begins anew here.
Result<> renew(const std::string& folder) {
    auto store = state::SqliteStore::open(state::directory_file(folder));
    if (!store) return std::unexpected(store.error());
    return (*store)->renew_incarnation();
}

}  // namespace

Result<> write_backup(state::Store& directory, const std::string& state_dir,
                      const std::string& passphrase, const std::string& path) {
    auto* const sqlite = dynamic_cast<state::SqliteStore*>(&directory);
    if (sqlite == nullptr) return fail(ErrorKind::Refused, "this store makes its own backups");
    NewFile file(path);
    if (!file.open()) return failed(path);
    const std::string copy = path + ".directory";
    const ShortLived plain(copy);
    if (auto made = sqlite->backup_to(copy); !made) return made;
    Sealer sealer(SealSecret::passphrase(passphrase),
                  [&file](std::string_view bytes) { return file.write(bytes); });
    auto sealed = sealer.write(kHead);
    for (const std::string& name : files_of(state_dir)) {
        const std::string source = name == "directory.db" ? copy : state_dir + "/" + name;
        const bool is_needed = std::ranges::find(kNeeded, name) != kNeeded.end();
        if (sealed && (is_needed || exists(source))) sealed = seal_file(sealer, name, source);
    }
    if (sealed) sealed = sealer.finish();
    if (!sealed) return sealed;
    return file.keep();
}

void remove_torn_backups(const std::string& state_dir) {
    std::error_code error;
    std::vector<std::filesystem::path> torn;
    for (const auto& file : std::filesystem::directory_iterator(state_dir, error)) {
        const std::string name = file.path().filename().string();
        if (name.starts_with("backup-") && name.contains(".tmp")) torn.push_back(file.path());
    }
    for (const auto& path : torn) {
        std::filesystem::remove(path, error);
        log::warning("torn_backup_removed", {{"file", path.string()}});
    }
}

Result<> restore_backup(const NodeConfig& config, const std::string& path,
                        const std::string& passphrase, bool replace) {
    const std::string& folder = config.node.state_dir;
    FolderLock lock;  // of the folder that is put aside
    if (exists(folder)) {
        auto taken = FolderLock::take(folder);
        if (!taken) return std::unexpected(taken.error());
        lock = std::move(*taken);
    }
    const bool occupied = exists(folder + "/cluster.json") || exists(folder + "/directory.db");
    if (occupied && !replace) {
        return fail(ErrorKind::Conflict, folder + " holds a cluster already (--yes replaces it)");
    }
    const std::string beside = folder + ".restored";
    std::error_code error;
    std::filesystem::remove_all(beside, error);
    if (auto made = make_folder(beside, 0700); !made) return made;
    if (auto unpacked = unpack(path, passphrase, beside); !unpacked) {
        std::filesystem::remove_all(beside, error);
        return unpacked;
    }
    if (auto renewed = renew(beside); !renewed) {
        std::filesystem::remove_all(beside, error);
        return renewed;
    }
    if (exists(folder)) {
        std::filesystem::remove_all(folder + ".old", error);
        std::filesystem::rename(folder, folder + ".old", error);
        if (error) return fail(ErrorKind::Io, folder + ": " + error.message());
    }
    std::filesystem::rename(beside, folder, error);
    if (error) return fail(ErrorKind::Io, folder + ": " + error.message());
    return {};
}

}  // namespace muster::admin
