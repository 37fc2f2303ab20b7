#include "state/replica.h"

#include <time.h>

#include <algorithm>
#include <ranges>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "state/json_value.h"
#include "state/replica_writer.h"

namespace muster::state {
namespace {

constexpr std::size_t kMostUnreadable = 1'000;

std::int64_t boottime_milliseconds() {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

std::chrono::milliseconds wall_clock() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now().time_since_epoch());
}

enum class FileState : std::uint8_t { Whole, Damaged, Partial, Useless };

/// What a file of the folder is good for. Refused (a newer format) is an error.
Result<FileState> inspect(const std::filesystem::path& file) {
    const auto opened = open_state_file(file, FileKind::Replica, Database::Mode::Existing);
    if (opened.has_value() || opened.error().kind == ErrorKind::Corrupt) {
        auto database = Database::open(file, Database::Mode::Existing);
        auto meta = database ? Meta::of(*database) : std::unexpected(database.error());
        const auto whole = meta ? meta->number("whole") : std::unexpected(meta.error());
        if (!whole) return FileState::Useless;
        if (*whole == 0) return opened ? FileState::Partial : FileState::Useless;
        return opened ? FileState::Whole : FileState::Damaged;
    }
    return std::unexpected(opened.error());
}

}  // namespace

std::shared_ptr<Replica> Replica::of_store(Store& store, const std::filesystem::path& file) {
    auto replica = of_file(file);
    replica->lead(store, file);
    return replica;
}

std::shared_ptr<Replica> Replica::of_file(const std::filesystem::path& file) {
    std::shared_ptr<Replica> replica(new Replica);
    replica->folder_ = file.parent_path();
    replica->is_master_ = true;
    replica->serve(file);
    return replica;
}

Result<std::shared_ptr<Replica>> Replica::of_folder(const std::filesystem::path& folder) {
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    if (failed) {
        return fail(ErrorKind::Io, "the replica cannot be opened",
                    folder.string() + ": " + failed.message());
    }
    std::shared_ptr<Replica> replica(new Replica);
    replica->folder_ = folder;
    if (auto done = replica->find_whole_file(); !done) return std::unexpected(done.error());
    return replica;
}

Result<> Replica::find_whole_file() {
    for (const ReplicaFile& file : replica_files(folder_) | std::views::reverse) {
        const auto state = inspect(file.path);
        if (!state) return std::unexpected(state.error());
        if (*state == FileState::Useless) {
            log::error("replica_damaged",
                       {{"file", file.path.string()}, {"next", "removed; it is fetched anew"}});
            remove_replica_file(file.path);
        }
        if (*state == FileState::Whole || *state == FileState::Damaged) {
            serve(file.path);
            if (*state == FileState::Damaged) report_damage("the sample at the start");
            return {};
        }
    }
    return {};
}

std::optional<std::chrono::milliseconds> Replica::age() const {
    if (is_master_) return std::chrono::milliseconds{0};
    const std::int64_t heard = heard_at_.load();
    if (heard == 0) return std::nullopt;
    return std::chrono::milliseconds{boottime_milliseconds() - heard};
}

void Replica::report_damage(std::string_view what) {
    if (damaged_.exchange(true)) return;
    log::error("replica_damaged",
               {{"file", file().string()},
                {"what", what},
                {"next", is_master_ ? "restore a backup" : "it is fetched anew from the source"}});
}

void Replica::report_unreadable(std::string_view key, std::string_view value,
                                std::string_view reason) {
    if (parse_json(value).is_discarded()) return report_damage(key);
    {
        const std::lock_guard lock(mutex_);
        if (unreadable_.size() == kMostUnreadable || unreadable_.contains(key)) return;
        unreadable_.emplace(key);
    }
    log::error("entry_unreadable", {{"key", key}, {"reason", reason}});
}

std::filesystem::path Replica::file() const {
    const std::lock_guard lock(mutex_);
    return file_;
}

void Replica::serve(const std::filesystem::path& file) {
    {
        const std::lock_guard lock(mutex_);
        file_ = file;
    }
    damaged_ = false;
    generation_.fetch_add(1, std::memory_order_acq_rel);
}

void Replica::applied(const Changed& changed) {
    version_.fetch_add(1);
    watches_.tell(changed);
}

void Replica::heard(std::chrono::milliseconds time) {
    if (as_of_.exchange(time.count()) != time.count()) heard_at_ = boottime_milliseconds();
}

std::chrono::milliseconds Replica::as_of() const {
    return is_master_ ? wall_clock() : std::chrono::milliseconds{as_of_.load()};
}

void Replica::lead(Store& store, const std::filesystem::path& file) {
    is_master_ = true;
    store_watch_ = store.watch([this](const Changed& changed) { applied(changed); });
    if (generation() == 0 || this->file() != file) serve(file);
}

void Replica::follow() {
    store_watch_ = {};
    if (!is_master_.exchange(false)) return;
    heard_at_ = boottime_milliseconds();
    as_of_ = wall_clock().count();
}

}  // namespace muster::state
