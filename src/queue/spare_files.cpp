#include "queue/spare_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "queue/spool_files.h"

namespace muster::queue {
namespace {

/// A few times as many as are delivered while one sync lasts.
constexpr std::size_t kMost = 1000;

}  // namespace

Result<> SpareFiles::prepare(const std::string& folder) {
    const std::string path = folder + "/spare";
    const auto made = make_folder(path);
    if (!made) return std::unexpected(made.error());
    for (const std::string& name : names_in(path)) ::unlink((path + "/" + name).c_str());
    return {};
}

SpareFiles::~SpareFiles() {
    used_ = false;
    tidy();
}

std::optional<SpareFiles::Spare> SpareFiles::take() {
    const std::scoped_lock lock(mutex_);
    used_ = true;
    if (spares_.empty()) return {};
    // The oldest one, so that nothing stays there for long.
    Spare spare = std::move(spares_.front());
    spares_.pop_front();
    return spare;
}

bool SpareFiles::give(const std::string& path) {
    struct stat status{};
    if (::fstatat(root_, path.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return false;
    const auto length = static_cast<std::uint64_t>(status.st_size);
    if (!S_ISREG(status.st_mode) || status.st_nlink != 1 || length > largest_) return false;
    std::string spare;
    {
        const std::scoped_lock lock(mutex_);
        if (spares_.size() >= kMost) return false;
        spare = "spare/" + std::to_string(next_++);
    }
    if (::renameat(root_, path.c_str(), root_, spare.c_str()) != 0) return false;
    const std::scoped_lock lock(mutex_);
    spares_.push_back({std::move(spare), length});
    return true;
}

bool SpareFiles::tidy() {
    std::deque<Spare> old;
    {
        const std::scoped_lock lock(mutex_);
        if (!std::exchange(used_, false)) old.swap(spares_);
        if (old.empty()) return spares_.empty();
    }
    for (const Spare& each : old) ::unlinkat(root_, each.path.c_str(), 0);
    return true;
}

}  // namespace muster::queue
