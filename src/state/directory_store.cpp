#include "state/directory_store.h"

#include <utility>

namespace muster::state {

/// A bulk load that was begun before writes were stopped finds out when it is finished.
class DirectoryStore::Load : public BulkLoad {
public:
    Load(DirectoryStore& of, std::shared_ptr<SqliteStore> store, BulkOptions options)
        : of_(of), store_(std::move(store)), load_(store_->bulk(std::move(options))) {}

    using BulkLoad::add;
    Result<> add(std::span<const BulkEntry> group, std::uint64_t tag) override {
        return load_->add(group, tag);
    }
    Result<BulkOutcome> finish() override {
        const std::shared_lock running(of_.running_);
        const auto store = of_.writable();
        if (!store) return std::unexpected(store.error());
        if (*store != store_) {
            return fail(ErrorKind::Conflict, "the master was changed meanwhile: start it again");
        }
        return load_->finish();
    }

private:
    DirectoryStore& of_;
    std::shared_ptr<SqliteStore> store_;
    std::unique_ptr<BulkLoad> load_;
};

namespace {

/// Of a load that may not even begin.
class RefusedLoad : public BulkLoad {
public:
    explicit RefusedLoad(Error why) : why_(std::move(why)) {}
    using BulkLoad::add;
    Result<> add(std::span<const BulkEntry> /*group*/, std::uint64_t /*tag*/) override {
        return std::unexpected(why_);
    }
    Result<BulkOutcome> finish() override { return std::unexpected(why_); }

private:
    Error why_;
};

std::unexpected<Error> not_leading() {
    return fail(ErrorKind::Unavailable, std::string(kMasterChanging),
                "this node does not lead, nothing was changed");
}

}  // namespace

DirectoryStore::DirectoryStore(std::shared_ptr<Replica> replica) : replica_(std::move(replica)) {}

DirectoryStore::~DirectoryStore() {
    if (store_) replica_->follow();  // which outlives it
}

void DirectoryStore::lead(std::shared_ptr<SqliteStore> store) {
    replica_->lead(*store, store->file());
    const std::scoped_lock lock(mutex_);
    file_ = store->file();
    store_ = std::move(store);
}

Result<> DirectoryStore::stop_writes(Error why, std::chrono::milliseconds patience) {
    {
        const std::scoped_lock lock(mutex_);
        refusal_ = std::move(why);
    }
    const std::unique_lock running(running_, patience);
    if (running.owns_lock()) return {};
    return fail(ErrorKind::Unavailable,
                "a large change is being written (an import?): wait until it is over");
}

void DirectoryStore::allow_writes() {
    const std::scoped_lock lock(mutex_);
    refusal_.reset();
}

std::optional<Error> DirectoryStore::stopped() const {
    const std::scoped_lock lock(mutex_);
    return refusal_;
}

Result<> DirectoryStore::follow() {
    const auto store = led();
    if (!store) return {};
    if (auto done = (*store)->become_replica(); !done) return done;
    replica_->follow();
    const std::scoped_lock lock(mutex_);
    store_.reset();
    refusal_.reset();
    return {};
}

std::shared_ptr<SqliteStore> DirectoryStore::leading() const {
    const std::scoped_lock lock(mutex_);
    return store_;
}

Result<std::shared_ptr<SqliteStore>> DirectoryStore::writable() const {
    const std::scoped_lock lock(mutex_);
    if (refusal_) return std::unexpected(*refusal_);
    if (!store_) return not_leading();
    return store_;
}

Result<std::shared_ptr<SqliteStore>> DirectoryStore::led() const {
    const std::scoped_lock lock(mutex_);
    if (!store_) return not_leading();
    return store_;
}

Result<std::shared_ptr<ReaderPool>> DirectoryStore::readers() {
    if (!replica_->filled()) return fail(ErrorKind::Unavailable, "the directory was never filled");
    const std::scoped_lock lock(mutex_);
    const std::uint64_t generation = replica_->generation();
    if (!pool_ || pool_generation_ != generation) {
        pool_ = std::make_shared<ReaderPool>(replica_->file());
        pool_generation_ = generation;
    }
    return pool_;
}

Result<Revision> DirectoryStore::commit(const Transaction& transaction) {
    const std::shared_lock running(running_);
    const auto store = writable();
    if (!store) return std::unexpected(store.error());
    return (*store)->commit(transaction);
}

std::unique_ptr<BulkLoad> DirectoryStore::bulk(BulkOptions options) {
    auto store = writable();
    if (!store) return std::make_unique<RefusedLoad>(store.error());
    return std::make_unique<Load>(*this, std::move(*store), std::move(options));
}

Result<std::optional<Entry>> DirectoryStore::get(std::string_view key) {
    const auto pool = readers();
    if (!pool) return std::unexpected(pool.error());
    auto reader = (*pool)->take();
    if (!reader) return std::unexpected(reader.error());
    return (*reader)->get(key);
}

Result<std::vector<Entry>> DirectoryStore::range(std::string_view from, std::string_view to,
                                                 std::size_t limit) {
    const auto pool = readers();
    if (!pool) return std::unexpected(pool.error());
    auto reader = (*pool)->take();
    if (!reader) return std::unexpected(reader.error());
    return (*reader)->range(from, to, limit);
}

Result<Page> DirectoryStore::page(std::string_view from, std::string_view to, std::size_t limit,
                                  Sight sight) {
    const auto pool = readers();
    if (!pool) return std::unexpected(pool.error());
    auto reader = (*pool)->take();
    if (!reader) return std::unexpected(reader.error());
    return (*reader)->page(from, to, limit, sight);
}

Result<ChangeBatch> DirectoryStore::changes(const Cursor& since, std::size_t limit, Sight sight) {
    const auto pool = readers();
    if (!pool) return std::unexpected(pool.error());
    auto reader = (*pool)->take();
    if (!reader) return std::unexpected(reader.error());
    return (*reader)->changes(since, limit, sight);
}

History DirectoryStore::history() {
    if (const auto store = leading()) return store->history();
    const auto pool = readers();
    if (!pool) return {};
    auto reader = (*pool)->take();
    if (!reader) return {};
    return (*reader)->history().value_or(History{});
}

Result<> DirectoryStore::begin_term() {
    const auto store = led();
    return store ? (*store)->begin_term() : std::unexpected(store.error());
}

Result<> DirectoryStore::backup_to(const std::filesystem::path& target) {
    const auto store = led();
    return store ? (*store)->backup_to(target) : std::unexpected(store.error());
}

std::string DirectoryStore::trouble() {
    const auto store = leading();
    return store ? store->trouble() : "";
}

Result<> DirectoryStore::renew_incarnation() {
    const auto store = led();
    return store ? (*store)->renew_incarnation() : std::unexpected(store.error());
}

Result<> DirectoryStore::begin_mastership() {
    const auto store = led();
    return store ? (*store)->begin_mastership() : std::unexpected(store.error());
}

Result<> DirectoryStore::note_hand_over(std::string_view to) {
    const auto store = led();
    return store ? (*store)->note_hand_over(to) : std::unexpected(store.error());
}

}  // namespace muster::state
