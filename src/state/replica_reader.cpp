#include <utility>

#include "state/mapped_read.h"
#include "state/replica.h"
#include "state/sqlite.h"

namespace muster::state {
namespace {

/// The file is mapped as far as SQLite maps one (2 GiB unless built otherwise): a look-up copies no
/// page, and workers share the pages. `query_only`: a reader never writes.
constexpr const char* kPrepareReader = "PRAGMA query_only = 1; PRAGMA mmap_size = 17179869184";

}  // namespace

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
        if (auto done = database.run(kPrepareReader); !done) return judged(done.error());
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

    Result<std::optional<Row>> row_of(std::string_view key) {
        if (auto done = follow(); !done) return std::unexpected(done.error());
        find.bind(1, key);
        const auto row = find.step();
        if (!row) return judged(row.error());
        if (!*row) return std::nullopt;
        buffer.assign(find.text(0));
        const Revision revision = find.number(1);
        find.reset();  // ends the read transaction: nothing pins the write-ahead log
        return Row{buffer, revision};
    }

    Result<std::vector<Entry>> entries_of(std::string_view from, std::string_view to,
                                          std::size_t limit) {
        if (auto done = follow(); !done) return std::unexpected(done.error());
        std::vector<Entry> entries;
        scan.bind(1, from);
        while (entries.size() < limit) {
            const auto row = scan.step();
            if (!row) return judged(row.error());
            if (!*row || (!to.empty() && scan.text(0) >= to)) break;
            entries.push_back(
                {std::string(scan.text(0)), std::string(scan.text(1)), scan.number(2)});
        }
        scan.reset();
        return entries;
    }

    std::unexpected<Error> judged(Error error) const {
        if (error.kind == ErrorKind::Corrupt) replica->report_damage(error.detail);
        return std::unexpected(std::move(error));
    }

    /// What to make of a page that could not be read: the mapping holds zeros in its place.
    std::unexpected<Error> unreadable() {
        generation = 0;
        return judged({ErrorKind::Corrupt, "the state is damaged", "a page cannot be read"});
    }
};

ReplicaReader::ReplicaReader(std::shared_ptr<Replica> replica) : impl_(std::make_unique<Impl>()) {
    MappedRead::prepare();
    impl_->replica = std::move(replica);
}

ReplicaReader::ReplicaReader(ReplicaReader&&) noexcept = default;
ReplicaReader& ReplicaReader::operator=(ReplicaReader&&) noexcept = default;
ReplicaReader::~ReplicaReader() = default;

const std::shared_ptr<Replica>& ReplicaReader::replica() const { return impl_->replica; }

Result<std::optional<Row>> ReplicaReader::find(std::string_view key) {
    const MappedRead span;
    auto row = impl_->row_of(key);
    if (span.failed()) return impl_->unreadable();
    return row;
}

Result<std::vector<Entry>> ReplicaReader::range(std::string_view from, std::string_view to,
                                                std::size_t limit) {
    const MappedRead span;
    auto entries = impl_->entries_of(from, to, limit);
    if (span.failed()) return impl_->unreadable();
    return entries;
}

}  // namespace muster::state
