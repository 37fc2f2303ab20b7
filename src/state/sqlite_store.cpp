#include "state/sqlite_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <random>
#include <ranges>
#include <utility>

#include "base/log.h"
#include "state/replica_writer.h"
#include "state/sqlite_bulk.h"
#include "state/store_reader.h"
#include "state/store_writer.h"
#include "state/turn_mutex.h"

namespace muster::state {
namespace {

/// An advisory lock beside the file: one process a store, since watches do not cross processes.
class FileLock {
public:
    FileLock() = default;
    FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    FileLock& operator=(FileLock&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;
    ~FileLock() {
        if (fd_ >= 0) ::close(fd_);
    }

    static Result<FileLock> take(const std::filesystem::path& file) {
        const std::string path = file.string() + ".lock";
        FileLock lock;
        lock.fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (lock.fd_ < 0) {
            return fail(ErrorKind::Io, "the state cannot be opened",
                        path + ": " + std::strerror(errno));
        }
        if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
            return fail(ErrorKind::Unavailable, "the state is in use",
                        file.string() + " is open in another process: is the node running?");
        }
        return lock;
    }

private:
    int fd_ = -1;
};

class SqliteStoreImpl : public SqliteStore {
public:
    SqliteStoreImpl(std::filesystem::path file, SqliteStoreOptions options, FileLock lock,
                    std::unique_ptr<StoreWriter> writer)
        : file_(std::move(file)),
          options_(options),
          lock_(std::move(lock)),
          writer_(std::move(writer)),
          readers_(file_) {}

    Result<Revision> commit(const Transaction& transaction) override;
    std::unique_ptr<BulkLoad> bulk(BulkOptions options) override;

    Result<std::optional<Entry>> get(std::string_view key) override {
        auto reader = readers_.take();
        if (!reader) return std::unexpected(reader.error());
        return (*reader)->get(key);
    }
    Result<std::vector<Entry>> range(std::string_view from, std::string_view to,
                                     std::size_t limit) override {
        auto reader = readers_.take();
        if (!reader) return std::unexpected(reader.error());
        return (*reader)->range(from, to, limit);
    }
    Result<Page> page(std::string_view from, std::string_view to, std::size_t limit,
                      Sight sight) override {
        auto reader = readers_.take();
        if (!reader) return std::unexpected(reader.error());
        return (*reader)->page(from, to, limit, sight);
    }
    Result<ChangeBatch> changes(const Cursor& since, std::size_t limit, Sight sight) override {
        auto reader = readers_.take();
        if (!reader) return std::unexpected(reader.error());
        return (*reader)->changes(since, limit, sight);
    }

    Cursor head() override { return history().cursor(); }
    History history() override { return writer_->published(); }
    Result<> begin_term() override;
    Result<> begin_mastership() override;
    Result<> note_hand_over(std::string_view to) override;
    Result<> become_replica() override;
    Watch watch(ChangeCallback callback) override { return watches_.add(std::move(callback)); }

    [[nodiscard]] const std::filesystem::path& file() const override { return file_; }
    Result<> backup_to(const std::filesystem::path& target) override {
        const std::lock_guard lock(mutex_);
        return writer_->copy_to(target);
    }
    Result<> renew_incarnation() override;
    [[nodiscard]] std::string trouble() override {
        const std::lock_guard lock(trouble_mutex_);
        return trouble_;
    }

private:
    Result<> begin(std::uint64_t (*next)(std::uint64_t last, std::uint64_t random));
    Result<> check(const Transaction& transaction);
    Result<> write(const Transaction& transaction, Revision revision);
    /// Tells the operator once when the disk does not take what is written.
    std::unexpected<Error> unwritten(const Error& error);
    /// The same of its end.
    void written();
    std::string note_trouble(std::string trouble);

    std::filesystem::path file_;
    SqliteStoreOptions options_;
    FileLock lock_;
    TurnMutex mutex_;  ///< one writer at a time
    std::unique_ptr<StoreWriter> writer_;
    ReaderPool readers_;
    WatchList watches_;
    std::mutex trouble_mutex_;  ///< not mutex_: a copy or a bulk load may hold that for long
    std::string trouble_;
};

std::unexpected<Error> SqliteStoreImpl::unwritten(const Error& error) {
    if (error.kind == ErrorKind::Io && note_trouble(error.detail).empty()) {
        log::error("state_unwritten",
                   {{"reason", error.detail},
                    {"what_to_do", "nothing can be changed: make room on the disk"}});
    }
    return std::unexpected(error);
}

void SqliteStoreImpl::written() {
    if (!note_trouble({}).empty()) log::info("state_written_again", {{"file", file_.string()}});
}

/// The trouble that stood before.
std::string SqliteStoreImpl::note_trouble(std::string trouble) {
    const std::lock_guard lock(trouble_mutex_);
    return std::exchange(trouble_, std::move(trouble));
}

Result<> check_form(const Transaction& transaction) {
    if (transaction.writes.size() > kMaxTransaction) {
        return fail(ErrorKind::Limit, "too many writes in one transaction");
    }
    for (const Write& write : transaction.writes) {
        if (auto sound = check_key(write.key); !sound) return sound;
        if (!write.value) continue;
        if (auto sound = check_value(*write.value); !sound) return sound;
    }
    return {};
}

Result<Revision> SqliteStoreImpl::commit(const Transaction& transaction) {
    if (auto sound = check_form(transaction); !sound) return std::unexpected(sound.error());
    const std::lock_guard lock(mutex_);
    if (auto done = writer_->begin(); !done) return unwritten(done.error());
    const Revision head = writer_->history().head;
    auto done = check(transaction);
    if (done) done = write(transaction, head + 1);
    if (!done || transaction.writes.empty()) {
        writer_->rollback();
        if (!done) return unwritten(done.error());
        return head;
    }
    if (done = writer_->commit(head + 1); !done) return unwritten(done.error());
    written();
    std::vector<std::string> keys;
    for (const Write& write : transaction.writes) keys.push_back(write.key);
    watches_.tell({.revision = head + 1, .keys = keys});
    return head + 1;
}

Result<> SqliteStoreImpl::check(const Transaction& transaction) {
    if (transaction.head && *transaction.head != writer_->history().head) {
        return fail(ErrorKind::Conflict, "changed meanwhile", "the state");
    }
    for (const Compare& condition : transaction.conditions) {
        const auto revision = writer_->revision_of(condition.key);
        if (!revision) return std::unexpected(revision.error());
        if (*revision != condition.revision) {
            return fail(ErrorKind::Conflict, "changed meanwhile", condition.key);
        }
    }
    return {};
}

Result<> SqliteStoreImpl::write(const Transaction& transaction, Revision revision) {
    std::uint64_t ordinal = 0;
    for (const Write& write : transaction.writes) {
        const auto unseen = writer_->is_unseen(write.key);
        if (!unseen) return std::unexpected(unseen.error());
        auto done = write.value ? writer_->put(write.key, *write.value, revision)
                                : writer_->erase(write.key);
        if (done) done = writer_->log(revision, ordinal++, write.key, !write.value, *unseen);
        if (!done) return done;
    }
    return {};
}

std::unique_ptr<BulkLoad> SqliteStoreImpl::bulk(BulkOptions options) {
    BulkTarget target{.mutex = mutex_,
                      .writer = *writer_,
                      .watches = watches_,
                      .folder = file_.parent_path().empty() ? "." : file_.parent_path(),
                      .log_limit = options_.log_limit,
                      .memory = options_.bulk_memory};
    return std::make_unique<SqliteBulk>(std::move(target), std::move(options));
}

Result<> SqliteStoreImpl::begin_term() { return begin(next_run); }

Result<> SqliteStoreImpl::begin_mastership() { return begin(next_mastership); }

Result<> SqliteStoreImpl::begin(std::uint64_t (*next)(std::uint64_t, std::uint64_t)) {
    const std::lock_guard lock(mutex_);
    History history = writer_->history();
    const std::uint64_t last = history.terms.empty() ? 0 : history.terms.back().number;
    std::random_device random;
    history.begin(next(last, random()));
    return writer_->set_history(std::move(history),
                                {{std::string(kLeadsRow), "1"}, {std::string(kHandOverRow), ""}});
}

Result<> SqliteStoreImpl::note_hand_over(std::string_view to) {
    const std::lock_guard lock(mutex_);
    return writer_->set_history(writer_->history(), {{std::string(kLeadsRow), "1"},
                                                     {std::string(kHandOverRow), std::string(to)}});
}

Result<> SqliteStoreImpl::become_replica() {
    const std::lock_guard lock(mutex_);
    const History& history = writer_->history();
    return writer_->set_history(history, replica_rows(history.cursor()));
}

Result<> SqliteStoreImpl::renew_incarnation() {
    const std::lock_guard lock(mutex_);
    History history = writer_->history();
    history.incarnation = make_incarnation(history.incarnation);
    return writer_->set_history(std::move(history));
}

Result<std::string> fact_of(const std::filesystem::path& file, std::string_view row) {
    auto database = Database::open(file, Database::Mode::Existing);
    if (!database) return std::unexpected(database.error());
    auto meta = Meta::of(*database);
    if (!meta) return std::unexpected(meta.error());
    return meta->text(row);
}

}  // namespace

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::filesystem::path& file,
                                                       SqliteStoreOptions options) {
    auto lock = FileLock::take(file);
    if (!lock) return std::unexpected(lock.error());
    auto writer = StoreWriter::open(file, options.log_limit);
    if (!writer) return std::unexpected(writer.error());
    return std::make_unique<SqliteStoreImpl>(file, options, std::move(*lock), std::move(*writer));
}

Result<Stores> open_stores(const std::filesystem::path& folder, SqliteStoreOptions options) {
    auto coordination = SqliteStore::open(folder / "coordination.db", options);
    if (!coordination) return std::unexpected(coordination.error());
    auto directory = SqliteStore::open(directory_file(folder), options);
    if (!directory) return std::unexpected(directory.error());
    return Stores{std::move(*coordination), std::move(*directory)};
}

std::filesystem::path directory_file(const std::filesystem::path& folder) {
    return folder / "directory.db";
}

std::optional<std::filesystem::path> leading_file(const std::filesystem::path& folder) {
    auto former = directory_file(folder);
    std::error_code ignored;
    // A damaged one leads, too: what to do about it is said when it is opened.
    if (std::filesystem::exists(former, ignored) &&
        fact_of(former, kLeadsRow).value_or("") != "0") {
        return former;
    }
    for (const ReplicaFile& file : replica_files(folder) | std::views::reverse) {
        if (fact_of(file.path, kLeadsRow).value_or("") == "1") return file.path;
    }
    return std::nullopt;
}

Result<std::string> noted_hand_over(const std::filesystem::path& file) {
    return fact_of(file, kHandOverRow);
}

}  // namespace muster::state
