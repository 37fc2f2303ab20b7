#include "state/sqlite.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <system_error>

namespace muster::state {
namespace {

ErrorKind kind_of(int code) {
    switch (code) {  // extended codes first: what a failing disk says of a file
        case SQLITE_IOERR_READ:
        case SQLITE_IOERR_SHORT_READ:
        case SQLITE_IOERR_CORRUPTFS: return ErrorKind::Corrupt;
        default: break;
    }
    switch (code & 0xFF) {
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB: return ErrorKind::Corrupt;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
        case SQLITE_NOMEM: return ErrorKind::Unavailable;
        default: return ErrorKind::Io;
    }
}

std::unexpected<Error> failure(sqlite3* handle, int code) {
    const char* file = sqlite3_db_filename(handle, "main");
    std::string detail = file ? file : "";
    detail += ": ";
    detail += sqlite3_errmsg(handle);
    const int system = sqlite3_system_errno(handle);
    if (kind_of(code) == ErrorKind::Io && system != 0) {
        detail += " (" + std::string(std::strerror(system)) + ")";
    }
    return fail(kind_of(code), "the state cannot be read or written now", std::move(detail));
}

/// Memory statistics would put one process-wide lock into every look-up.
void configure_once() {
    static std::once_flag once;
    std::call_once(once, [] { sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); });
}

constexpr int kBusyMilliseconds = 10'000;

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

void Statement::bind(int index, std::string_view text) {
    // An empty view may have no data, which SQLite would take for NULL.
    const char* data = text.empty() ? "" : text.data();
    const int code = sqlite3_bind_text(statement_.get(), index, data, static_cast<int>(text.size()),
                                       SQLITE_STATIC);
    MUSTER_CHECK(code == SQLITE_OK);
}

void Statement::bind(int index, std::uint64_t number) {
    const int code =
        sqlite3_bind_int64(statement_.get(), index, static_cast<sqlite3_int64>(number));
    MUSTER_CHECK(code == SQLITE_OK);
}

Result<bool> Statement::step() {
    const int code = sqlite3_step(statement_.get());
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) {
        reset();
        return false;
    }
    auto error = failure(sqlite3_db_handle(statement_.get()), code);
    reset();
    return error;
}

Result<> Statement::run() {
    const auto row = step();
    if (!row) return std::unexpected(row.error());
    if (*row) reset();
    return {};
}

void Statement::reset() { sqlite3_reset(statement_.get()); }

std::string_view Statement::text(int column) const {
    const auto* data = sqlite3_column_text(statement_.get(), column);
    const int size = sqlite3_column_bytes(statement_.get(), column);
    if (!data) return {};
    return {reinterpret_cast<const char*>(data), static_cast<std::size_t>(size)};
}

std::uint64_t Statement::number(int column) const {
    return static_cast<std::uint64_t>(sqlite3_column_int64(statement_.get(), column));
}

void Database::Close::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }

Result<> create_private_file(const std::filesystem::path& file) {
    const int fd = ::open(file.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) {
        return fail(ErrorKind::Io, "the state cannot be written",
                    file.string() + ": " + std::strerror(errno));
    }
    ::close(fd);
    return {};
}

Result<Database> Database::open(const std::filesystem::path& file, Mode mode) {
    configure_once();
    std::error_code unknown;
    if (mode == Mode::Create && !std::filesystem::exists(file, unknown)) {
        if (auto done = create_private_file(file); !done) return std::unexpected(done.error());
    }
    sqlite3* handle = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    const int code = sqlite3_open_v2(file.c_str(), &handle, flags, nullptr);
    Database database;
    database.handle_.reset(handle);
    if (code != SQLITE_OK) return failure(handle, code);
    sqlite3_busy_timeout(handle, kBusyMilliseconds);
    return database;
}

Result<> Database::run(const std::string& sql) {
    const int code = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return failure(handle_.get(), code);
    return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK) return failure(handle_.get(), code);
    return Statement(statement);
}

Result<std::uint64_t> Database::number(std::string_view sql) {
    auto statement = prepare(sql);
    if (!statement) return std::unexpected(statement.error());
    const auto row = statement->step();
    if (!row) return std::unexpected(row.error());
    return *row ? statement->number(0) : 0;
}

std::uint64_t Database::changes() const {
    return static_cast<std::uint64_t>(sqlite3_changes64(handle_.get()));
}

void Database::rollback() {
    if (handle_ && sqlite3_get_autocommit(handle_.get()) == 0) {
        sqlite3_exec(handle_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    }
}

}  // namespace muster::state
