#pragma once
// The two file formats of the import, row by row. Streaming; every row, field and list is bounded.
// A row that cannot be read is reported and the next one goes on after the next line break.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cluster/account_import.h"

namespace muster::cluster {

/// One row as it stands in the file, nothing judged but its form.
struct ImportRow {
    std::uint64_t line = 0;
    std::string address;
    std::string id;
    std::string home;
    std::string state;
    std::string quota;
    std::string epoch;
    std::string password;
    std::vector<std::string> keys;
    std::vector<std::string> aliases;
    std::vector<std::string> to;  ///< not empty: `address` is an alias for these
    std::string reason;           ///< why the row cannot be read; empty: it can
};

/// Where rows come from. Errors end the whole import.
class ImportRows {
public:
    virtual ~ImportRows() = default;
    /// False at the end.
    virtual Result<bool> next(ImportRow& row) = 0;
};

std::unique_ptr<ImportRows> open_rows(AccountFormat format, ByteReader input);
std::unique_ptr<ImportRows> open_csv_rows(ByteReader input);

/// Bytes one by one from a reader of blocks.
class ByteCursor {
public:
    explicit ByteCursor(ByteReader input) : input_(std::move(input)) {}

    /// The next byte, or -1 at the end and after a failure.
    int get() {
        if (at_ == filled_ && !fill()) return -1;
        const char c = buffer_[at_++];
        if (c == '\n') ++line_;
        return static_cast<unsigned char>(c);
    }
    int peek() {
        if (at_ == filled_ && !fill()) return -1;
        return static_cast<unsigned char>(buffer_[at_]);
    }
    [[nodiscard]] std::uint64_t line() const { return line_; }
    [[nodiscard]] const std::optional<Error>& error() const { return error_; }

private:
    bool fill();

    ByteReader input_;
    std::array<char, 64 * 1024> buffer_;
    std::size_t at_ = 0;
    std::size_t filled_ = 0;
    std::uint64_t line_ = 1;
    bool ended_ = false;
    std::optional<Error> error_;
};

/// Records of RFC 4180: CRLF or LF, quotes doubled inside of quotes. Empty lines are skipped.
class CsvReader {
public:
    explicit CsvReader(ByteReader input) : input_(std::move(input)) {}

    struct Record {
        std::uint64_t line = 0;
        std::vector<std::string> fields;
        std::string reason;  ///< why it is no record; empty: it is one
    };
    /// False at the end. The record's memory is used again.
    Result<bool> next(Record& record);

private:
    /// True while more fields follow in this record.
    bool read_field(Record& record, std::string& field);
    bool read_quoted(Record& record, std::string& field);
    bool end_field(Record& record, int c);
    void spoil(Record& record, std::string_view why);
    bool count();
    void skip_line();

    ByteCursor input_;
    std::size_t size_ = 0;
    bool begun_ = false;
};

}  // namespace muster::cluster
