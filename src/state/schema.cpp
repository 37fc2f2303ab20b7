#include "state/schema.h"

#include <array>
#include <charconv>

namespace muster::state {
namespace {

constexpr std::uint64_t kApplication = 0x4D535452;  // "MSTR"

constexpr const char* kTables = R"(
    CREATE TABLE IF NOT EXISTS entry(
        key TEXT PRIMARY KEY, value TEXT NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS change(
        revision INTEGER, ordinal INTEGER, key TEXT NOT NULL, deleted INTEGER NOT NULL,
        PRIMARY KEY(revision, ordinal)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS unseen(
        revision INTEGER, ordinal INTEGER, key TEXT NOT NULL,
        PRIMARY KEY(revision, ordinal)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
)";

std::unexpected<Error> advise(Error error, const std::filesystem::path& file, FileKind kind) {
    if (error.kind != ErrorKind::Corrupt) return std::unexpected(std::move(error));
    const char* advice =
        kind == FileKind::Store
            ? "; stop this node, move the file away and restore a backup (muster cluster restore)"
            : "; it is fetched anew from the source";
    return fail(ErrorKind::Corrupt, "the state is damaged",
                "the state file " + file.string() + " is damaged: " + error.detail + advice);
}

Result<> create(Database& database) {
    return database.run("PRAGMA application_id = " + std::to_string(kApplication) +
                        "; PRAGMA user_version = " + std::to_string(kFormat) + ";" + kTables);
}

Result<> check_format(Database& database, const std::filesystem::path& file) {
    const auto application = database.number("PRAGMA application_id");
    if (!application) return std::unexpected(application.error());
    const auto format = database.number("PRAGMA user_version");
    if (!format) return std::unexpected(format.error());
    const auto objects = database.number("SELECT count(*) FROM sqlite_schema");
    if (!objects) return std::unexpected(objects.error());
    if (*application == 0 && *objects == 0) return create(database);
    if (*application != kApplication) {
        return fail(ErrorKind::Corrupt, "the state is damaged", "not a state file of Muster");
    }
    if (*format > kFormat + 1) {
        return fail(ErrorKind::Refused, "the state belongs to a newer version of Muster",
                    "the state file " + file.string() + " has format " + std::to_string(*format) +
                        ", this program knows up to " + std::to_string(kFormat + 1) +
                        ": install the newer version again, or restore a backup of this one");
    }
    return database.run(kTables);
}

Result<Database> open_checked(const std::filesystem::path& file, Database::Mode mode) {
    auto database = Database::open(file, mode);
    if (!database) return database;
    if (const auto done = check_format(*database, file); !done) {
        return std::unexpected(done.error());
    }
    // A reset log is cut to this size, so that one large transaction does not keep the disk.
    const auto done = database->run(
        "PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = 16777216;"
        "PRAGMA cache_size = -16384");
    if (!done) return std::unexpected(done.error());
    return database;
}

}  // namespace

Result<Database> open_state_file(const std::filesystem::path& file, FileKind kind,
                                 Database::Mode mode) {
    auto database = open_checked(file, mode);
    if (!database) return advise(std::move(database.error()), file, kind);
    if (const auto sound = check_sample(*database); !sound)
        return advise(sound.error(), file, kind);
    const auto done = database->run(kind == FileKind::Store ? "PRAGMA synchronous = FULL"
                                                            : "PRAGMA synchronous = NORMAL");
    if (!done) return std::unexpected(done.error());
    return database;
}

Result<> check_sample(Database& database) {
    static constexpr std::array kFamilies{"account/", "alias/", "domain/", "key/", "server/"};
    static constexpr std::string_view kFirst = "09afkpuz";
    auto scan = database.prepare("SELECT key, value, revision FROM entry WHERE key >= ?1 LIMIT 4");
    if (!scan) return std::unexpected(scan.error());
    for (const std::string_view family : kFamilies) {
        for (const char first : kFirst) {
            const std::string from = std::string(family) + first;
            scan->bind(1, from);
            while (true) {
                const auto row = scan->step();
                if (!row) return std::unexpected(row.error());
                if (!*row) break;
            }
        }
    }
    return {};
}

Result<Meta> Meta::of(Database& database) {
    auto get = database.prepare("SELECT value FROM meta WHERE name = ?1");
    if (!get) return std::unexpected(get.error());
    auto set = database.prepare(
        "INSERT INTO meta VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET value = excluded.value");
    if (!set) return std::unexpected(set.error());
    Meta meta;
    meta.get_ = std::move(*get);
    meta.set_ = std::move(*set);
    return meta;
}

Result<std::string> Meta::text(std::string_view name) {
    get_.bind(1, name);
    const auto row = get_.step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return std::string();
    std::string value(get_.text(0));
    get_.reset();
    return value;
}

Result<std::uint64_t> Meta::number(std::string_view name) {
    const auto value = text(name);
    if (!value) return std::unexpected(value.error());
    std::uint64_t number = 0;
    if (value->empty()) return number;
    const char* end = value->data() + value->size();
    const auto [stopped, error] = std::from_chars(value->data(), end, number);
    if (error != std::errc{} || stopped != end) {
        return fail(ErrorKind::Corrupt, "the state is damaged",
                    "no number in meta row " + std::string(name));
    }
    return number;
}

Result<> Meta::set(std::string_view name, std::string_view value) {
    set_.bind(1, name);
    set_.bind(2, value);
    return set_.run();
}

Result<> Meta::set(std::string_view name, std::uint64_t value) {
    return set(name, std::string_view(std::to_string(value)));
}

Result<History> Meta::history() {
    auto incarnation = text("incarnation");
    if (!incarnation) return std::unexpected(incarnation.error());
    const auto head = number("head");
    if (!head) return std::unexpected(head.error());
    const auto stored = text("terms");
    if (!stored) return std::unexpected(stored.error());
    auto terms = parse_terms(*stored);
    if (!terms) return std::unexpected(terms.error());
    return History{std::move(*incarnation), std::move(*terms), *head};
}

std::string format_terms(const std::vector<Term>& terms) {
    std::string text;
    for (const Term& term : terms) {
        if (!text.empty()) text += ' ';
        text += std::to_string(term.number) + ':' + std::to_string(term.first);
    }
    return text;
}

Result<std::vector<Term>> parse_terms(std::string_view text) {
    std::vector<Term> terms;
    const char* at = text.data();
    const char* end = at + text.size();
    while (at != end) {
        Term term;
        const auto number = std::from_chars(at, end, term.number);
        const bool colon = number.ec == std::errc{} && number.ptr != end && *number.ptr == ':';
        const auto first = colon ? std::from_chars(number.ptr + 1, end, term.first) : number;
        if (!colon || first.ec != std::errc{}) {
            return fail(ErrorKind::Corrupt, "the state is damaged", "the table of terms");
        }
        terms.push_back(term);
        at = first.ptr;
        if (at != end && *at == ' ') ++at;
    }
    return terms;
}

}  // namespace muster::state
