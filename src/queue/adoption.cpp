#include "queue/adoption.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <span>
#include <utility>

#include "base/log.h"

namespace muster::queue {
namespace {

/// Messages between two syncs and two calls of `progress`.
constexpr std::size_t kTogether = 500;

std::string place_in(const std::string& spool, const QueueId& id, Shelf shelf) {
    if (shelf == Shelf::Hold) return spool + "/hold/" + id.text;
    return spool + "/active/" + id.text.substr(0, kBucketLength) + "/" + id.text;
}

constexpr std::string_view kHeld = ".hold";

/// The name of a copy tells its shelf.
std::string copy_name(const QueueId& id, Shelf shelf) {
    return shelf == Shelf::Hold ? id.text + std::string(kHeld) : id.text;
}

bool exists(const std::string& path) {
    struct stat status{};
    return ::lstat(path.c_str(), &status) == 0;
}

Result<> copy_file(const std::string& from, const std::string& to) {
    const File source(::open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!source.open()) return disk_error(errno, from);
    const File target(::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!target.open()) return disk_error(errno, to);
    std::string chunk;
    for (std::uint64_t at = 0;; at += chunk.size()) {
        chunk.resize(kChunk);
        const auto got = read_at(source.fd(), at, chunk);
        if (!got) return std::unexpected(got.error());
        if (*got == 0) return {};
        chunk.resize(*got);
        if (auto written = write_at(target.fd(), at, chunk); !written) return written;
    }
}

class Adoption {
public:
    Adoption(SpoolFiles source, const SpoolFiles& files, Schedule& schedule,
             const std::function<void(const AdoptReport&)>& progress)
        : source_(std::move(source)), files_(files), schedule_(schedule), progress_(progress) {}

    Result<AdoptReport> run() {
        auto found = source_.list();
        if (!found) return std::unexpected(found.error());
        report_.known = found->size();
        report_.removed += source_.clean_incoming();
        for (std::size_t at = 0; at < found->size(); at += kTogether) {
            const std::size_t count = std::min(kTogether, found->size() - at);
            const std::span<const FoundFile> some(found->data() + at, count);
            if (auto moved = move(some); !moved) return std::unexpected(moved.error());
            if (progress_) progress_(report_);
        }
        for (const std::string& bucket : source_.buckets()) source_.remove_bucket(bucket);
        return report_;
    }

private:
    /// On disk here, and nowhere else, before any of them is tried.
    Result<> move(std::span<const FoundFile> some) {
        std::vector<FoundFile> here;
        std::vector<FoundFile> elsewhere;
        for (const FoundFile& each : some) {
            const std::string from = place_in(source_.folder(), each.id.id(), each.shelf);
            if (schedule_.find(each.id.id())) {
                ++report_.present;
                ::unlink(from.c_str());
                continue;
            }
            int error = 0;
            if (files_.take_over(from, each.id.id(), each.shelf, error)) {
                here.push_back(each);
            } else if (error == EXDEV) {
                elsewhere.push_back(each);
            } else if (error != ENOENT) {
                return disk_error(error, from);
            }
        }
        // Those that are here are tried whatever becomes of the others.
        Result<> copied;
        if (!elsewhere.empty()) copied = copy(elsewhere);
        if (auto synced = files_.sync(); !synced) return synced;
        for (const FoundFile& each : here) load(each.id.id());
        for (const FoundFile& each : elsewhere) load(each.id.id());
        return copied;
    }

    /// Across file systems: a synced copy that nobody tries, then the original goes, and for good,
    /// then the copy becomes a message. After an error `messages` are those that have.
    Result<> copy(std::vector<FoundFile>& messages) {
        const std::vector<FoundFile> wanted = std::exchange(messages, {});
        const std::string staging = files_.folder() + "/adopting";
        if (auto made = make_folder(staging); !made) return std::unexpected(made.error());
        if (auto noted = replace_file(staging, "SOURCE", source_.folder()); !noted) return noted;
        for (const FoundFile& each : wanted) {
            const std::string from = place_in(source_.folder(), each.id.id(), each.shelf);
            const std::string to = staging + "/" + copy_name(each.id.id(), each.shelf);
            if (auto copied = copy_file(from, to); !copied) return copied;
        }
        if (auto synced = files_.sync(); !synced) return synced;
        Result<> removed;
        std::vector<FoundFile> ours;
        for (const FoundFile& each : wanted) {
            auto gone = source_.remove(each.id.id());
            if (gone || gone.error().kind == ErrorKind::NotFound) {
                ours.push_back(each);
            } else {
                removed = std::move(gone);  // its copy waits for finish_adoption()
            }
        }
        if (auto synced = source_.sync(); !synced) return synced;
        for (const FoundFile& each : ours) {
            int error = 0;
            const std::string from = staging + "/" + copy_name(each.id.id(), each.shelf);
            if (!files_.take_over(from, each.id.id(), each.shelf, error))
                return disk_error(error, from);
            messages.push_back(each);
        }
        return removed;
    }

    void load(const QueueId& id) {
        switch (load_message(files_, schedule_, id)) {
            case Loaded::Added: ++report_.adopted; break;
            case Loaded::Known: ++report_.present; break;
            case Loaded::Corrupt: ++report_.corrupt; break;
            case Loaded::Removed: ++report_.removed; break;
            case Loaded::Gone: break;
        }
    }

    const SpoolFiles source_;
    const SpoolFiles& files_;
    Schedule& schedule_;
    const std::function<void(const AdoptReport&)>& progress_;
    AdoptReport report_;
};

}  // namespace

Result<AdoptReport> adopt_spool(const std::string& folder, const Owner& self,
                                const SpoolFiles& files, Schedule& schedule,
                                const std::function<void(const AdoptReport&)>& progress) {
    const auto before = read_owner(folder);
    if (!before) return std::unexpected(before.error());
    const auto lock = lock_spool(folder);
    if (!lock) return std::unexpected(lock.error());
    // First of all: from now on whoever ran it runs it no more.
    if (const Owner owner = next_owner(*before, self); *before != owner) {
        if (auto owned = write_owner(folder, owner); !owned) return std::unexpected(owned.error());
    }
    log::info("queue-adopting", {{"folder", folder}, {"from", before->node}});
    char* const absolute = ::realpath(folder.c_str(), nullptr);
    const std::string path = absolute != nullptr ? absolute : folder;
    std::free(absolute);
    auto source = SpoolFiles::open(path);
    if (!source) return std::unexpected(source.error());
    if (!finish_adoption(*source) || !finish_adoption(files)) {
        return fail(ErrorKind::Unavailable,
                    "an earlier adoption was interrupted, and its source cannot be reached");
    }
    return Adoption(std::move(*source), files, schedule, progress).run();
}

bool finish_adoption(const SpoolFiles& files) {
    const std::string staging = files.folder() + "/adopting";
    std::vector<FoundFile> copies;
    for (const std::string& name : names_in(staging)) {
        const std::string_view id = std::string_view(name).substr(0, kQueueIdLength);
        if (!is_queue_id(id)) continue;
        copies.push_back({PackedId(id), 0, name.ends_with(kHeld) ? Shelf::Hold : Shelf::Active});
    }
    if (copies.empty()) return true;
    const auto origin = read_small_file(staging + "/SOURCE");
    if (!origin || !exists(*origin + "/OWNER")) {
        log::error("queue-adoption-unfinished",
                   {{"folder", staging}, {"source", origin ? *origin : std::string("?")}});
        return false;
    }
    for (const FoundFile& each : copies) {
        const std::string copy = staging + "/" + copy_name(each.id.id(), each.shelf);
        int error = 0;
        if (exists(place_in(*origin, each.id.id(), each.shelf))) {
            ::unlink(copy.c_str());
        } else if (!files.take_over(copy, each.id.id(), each.shelf, error)) {
            return false;
        }
    }
    return true;
}

}  // namespace muster::queue
