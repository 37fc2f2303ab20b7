#include <utility>

#include "state/replica.h"
#include "state/sqlite.h"

namespace muster::state {

struct ReplicaReader::Impl {
    std::shared_ptr<Replica> replica;
    std::uint64_t generation = 0;  ///< of the file that is open; 0: none
    Database database;
    Statement find;
    Statement scan;
    std::string buffer;

    /// Follows the replica to the file that serves now.
    Result<> follow() {
        const std::uint64_t current = replica->generation();
        if (current == generation) [[likely]] {
            if (generation != 0) return {};
            return fail(ErrorKind::Unavailable, "not ready", "the directory was never filled");
        }
        auto done = open();
        // The file may have given way to a newer one just now.
        if (!done && replica->generation() != current) done = open();
        return done;
    }

    Result<> open() {
        generation = 0;
        find = {};
        scan = {};
        const std::uint64_t current = replica->generation();
        auto opened = Database::open(replica->file(), Database::Mode::Existing);
        if (!opened) return judged(opened.error());
        database = std::move(*opened);
        if (auto done = database.run("PRAGMA query_only = 1"); !done) return judged(done.error());
        auto prepared = database.prepare("SELECT value, revision FROM entry WHERE key = ?1");
        if (!prepared) return judged(prepared.error());
        find = std::move(*prepared);
        prepared =
            database.prepare("SELECT key, value, revision FROM entry WHERE key >= ?1 ORDER BY key");
        if (!prepared) return judged(prepared.error());
        scan = std::move(*prepared);
        generation = current;
        return {};
    }

    std::unexpected<Error> judged(Error error) const {
        if (error.kind == ErrorKind::Corrupt) replica->report_damage(error.detail);
        return std::unexpected(std::move(error));
    }
};

ReplicaReader::ReplicaReader(std::shared_ptr<Replica> replica) : impl_(std::make_unique<Impl>()) {
    impl_->replica = std::move(replica);
}

ReplicaReader::ReplicaReader(ReplicaReader&&) noexcept = default;
ReplicaReader& ReplicaReader::operator=(ReplicaReader&&) noexcept = default;
ReplicaReader::~ReplicaReader() = default;

const std::shared_ptr<Replica>& ReplicaReader::replica() const { return impl_->replica; }

Result<std::optional<Row>> ReplicaReader::find(std::string_view key) {
    if (auto done = impl_->follow(); !done) return std::unexpected(done.error());
    Statement& find = impl_->find;
    find.bind(1, key);
    const auto row = find.step();
    if (!row) return impl_->judged(row.error());
    if (!*row) return std::nullopt;
    impl_->buffer.assign(find.text(0));
    const Revision revision = find.number(1);
    find.reset();  // ends the read transaction: nothing pins the write-ahead log
    return Row{impl_->buffer, revision};
}

Result<std::vector<Entry>> ReplicaReader::range(std::string_view from, std::string_view to,
                                                std::size_t limit) {
    if (auto done = impl_->follow(); !done) return std::unexpected(done.error());
    Statement& scan = impl_->scan;
    std::vector<Entry> entries;
    scan.bind(1, from);
    while (entries.size() < limit) {
        const auto row = scan.step();
        if (!row) return impl_->judged(row.error());
        if (!*row || (!to.empty() && scan.text(0) >= to)) break;
        entries.push_back({std::string(scan.text(0)), std::string(scan.text(1)), scan.number(2)});
    }
    scan.reset();
    return entries;
}

}  // namespace muster::state
