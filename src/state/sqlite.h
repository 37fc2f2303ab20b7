#pragma once
// A thin, exception-free wrapper of SQLite: connections, statements, errors.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace muster::state {

/// A prepared statement. Views into it end with the next step() or reset(). Belongs to the thread
/// of its Database, which must outlive it.
class Statement {
public:
    Statement() = default;
    explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

    /// Numbered from 1. The text must stay until the statement is reset.
    void bind(int index, std::string_view text);
    void bind(int index, std::uint64_t number);
    /// True: a row is there. False: done. Resets the statement unless there is a row.
    Result<bool> step();
    /// For what yields no rows.
    Result<> run();
    void reset();

    /// Numbered from 0.
    [[nodiscard]] std::string_view text(int column) const;
    [[nodiscard]] std::uint64_t number(int column) const;

private:
    struct Finalize {
        void operator()(sqlite3_stmt* statement) const;
    };
    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

/// Makes an empty file that only its owner may read: the state holds password keys. ErrorKind::Io
/// when it cannot, or when the file exists.
Result<> create_private_file(const std::filesystem::path& file);

/// One connection, used by one thread at a time.
class Database {
public:
    enum class Mode : std::uint8_t { Existing, Create };

    Database() = default;
    static Result<Database> open(const std::filesystem::path& file, Mode mode);

    /// One or more statements without parameters.
    Result<> run(const std::string& sql);
    Result<Statement> prepare(std::string_view sql);
    /// The one number that a query yields.
    Result<std::uint64_t> number(std::string_view sql);
    /// Rows that the last statement changed.
    [[nodiscard]] std::uint64_t changes() const;
    /// Ends an open transaction without effect, if there is one.
    void rollback();
    [[nodiscard]] bool is_open() const { return handle_ != nullptr; }
    void close() { handle_.reset(); }

private:
    struct Close {
        void operator()(sqlite3* handle) const;
    };
    std::unique_ptr<sqlite3, Close> handle_;
};

}  // namespace muster::state
