#include <algorithm>

#include "cluster/import_rows.h"

namespace muster::cluster {
namespace {

constexpr std::string_view kTooLong = "the row is longer than 64 KiB, or a quote is never closed";

/// The text members of a row, by column name.
struct Column {
    std::string_view name;
    std::string ImportRow::* text;
    std::vector<std::string> ImportRow::* list;
};
constexpr std::array kColumns{
    Column{"address", &ImportRow::address, nullptr},   Column{"id", &ImportRow::id, nullptr},
    Column{"home", &ImportRow::home, nullptr},         Column{"state", &ImportRow::state, nullptr},
    Column{"quota", &ImportRow::quota, nullptr},       Column{"epoch", &ImportRow::epoch, nullptr},
    Column{"password", &ImportRow::password, nullptr}, Column{"keys", nullptr, &ImportRow::keys},
    Column{"aliases", nullptr, &ImportRow::aliases},   Column{"to", nullptr, &ImportRow::to},
};

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    while (true) {
        const std::size_t start = text.find_first_not_of(' ');
        if (start == text.npos) return words;
        const std::size_t end = std::min(text.find(' ', start), text.size());
        words.emplace_back(text.substr(start, end - start));
        text.remove_prefix(end);
    }
}

class CsvRows : public ImportRows {
public:
    explicit CsvRows(ByteReader input) : reader_(std::move(input)) {}

    Result<bool> next(ImportRow& row) override {
        if (columns_.empty()) {
            if (auto read = read_header(); !read) return std::unexpected(read.error());
        }
        const auto more = reader_.next(record_);
        if (!more || !*more) return more;
        row = ImportRow{};
        row.line = record_.line;
        row.reason = record_.reason;
        if (row.reason.empty() && record_.fields.size() != columns_.size()) {
            row.reason = std::to_string(record_.fields.size()) + " fields where the header has " +
                         std::to_string(columns_.size());
        }
        if (row.reason.empty()) take_fields(row);
        if (row.reason.empty() && !row.to.empty() && says_account(row)) {
            row.reason = "a row with \"to\" is an alias: it has an address and nothing else";
        }
        return true;
    }

private:
    Result<> read_header() {
        const auto more = reader_.next(record_);
        if (!more) return std::unexpected(more.error());
        if (!*more) return fail(ErrorKind::Syntax, "the file is empty: it needs a header row");
        if (!record_.reason.empty())
            return fail(ErrorKind::Syntax, "header row: " + record_.reason);
        for (const std::string& field : record_.fields) {
            const auto* found = std::ranges::find(kColumns, field, &Column::name);
            if (found == kColumns.end()) {
                return fail(ErrorKind::Syntax,
                            "header row: no column \"" + field.substr(0, 64) +
                                "\"; there are address, id, home, state, quota, epoch, password, "
                                "keys, aliases and to");
            }
            if (std::ranges::find(columns_, found) != columns_.end()) {
                return fail(ErrorKind::Syntax, "header row: column " + field + " stands twice");
            }
            columns_.push_back(found);
        }
        if (std::ranges::find(columns_, kColumns.data()) == columns_.end()) {
            return fail(ErrorKind::Syntax, "header row: the column address is missing");
        }
        return {};
    }

    static bool says_account(const ImportRow& row) {
        return !row.id.empty() || !row.home.empty() || !row.state.empty() || !row.quota.empty() ||
               !row.epoch.empty() || !row.password.empty() || !row.keys.empty() ||
               !row.aliases.empty();
    }

    void take_fields(ImportRow& row) {
        for (std::size_t i = 0; i < columns_.size(); ++i) {
            const Column& column = *columns_[i];
            if (column.text) {
                row.*column.text = std::move(record_.fields[i]);
            } else {
                row.*column.list = words_of(record_.fields[i]);
            }
        }
    }

    CsvReader reader_;
    CsvReader::Record record_;
    std::vector<const Column*> columns_;
};

}  // namespace

std::unique_ptr<ImportRows> open_csv_rows(ByteReader input) {
    return std::make_unique<CsvRows>(std::move(input));
}

bool ByteCursor::fill() {
    if (ended_) return false;
    auto got = input_(buffer_);
    at_ = 0;
    filled_ = got ? std::min(*got, buffer_.size()) : 0;
    if (!got) error_ = got.error();
    ended_ = filled_ == 0;
    return !ended_;
}

void CsvReader::spoil(Record& record, std::string_view why) {
    if (record.reason.empty()) record.reason = why;
}

bool CsvReader::count() { return ++size_ <= kMaxImportLine; }

void CsvReader::skip_line() {
    int c = 0;
    while (c >= 0 && c != '\n') c = input_.get();
}

Result<bool> CsvReader::next(Record& record) {
    record.reason.clear();
    if (!begun_) {
        begun_ = true;
        if (input_.peek() == 0xef) {  // a byte order mark
            input_.get();
            if (input_.get() != 0xbb || input_.get() != 0xbf) {
                return fail(ErrorKind::Syntax, "the file is no UTF-8 text");
            }
        }
    }
    while (input_.peek() == '\r' || input_.peek() == '\n') input_.get();
    if (input_.error()) return std::unexpected(*input_.error());
    if (input_.peek() < 0) return false;
    record.line = input_.line();
    size_ = 0;
    std::size_t fields = 0;
    bool more = true;
    while (more) {
        if (fields == kMaxImportFields) {
            spoil(record, "more than 64 fields");
            skip_line();
            break;
        }
        if (record.fields.size() == fields) record.fields.emplace_back();
        record.fields[fields].clear();
        more = read_field(record, record.fields[fields++]);
    }
    record.fields.resize(fields);
    if (input_.error()) return std::unexpected(*input_.error());
    return true;
}

bool CsvReader::read_field(Record& record, std::string& field) {
    if (input_.peek() == '"') {
        input_.get();
        return read_quoted(record, field);
    }
    while (true) {
        const int c = input_.get();
        if (c == ',' || c == '\n' || c == '\r' || c < 0) return end_field(record, c);
        if (!count()) {
            spoil(record, kTooLong);
            skip_line();
            return false;
        }
        if (c == '"') spoil(record, "a quote inside of a field that does not start with one");
        if (c == 0) spoil(record, "the row holds a NUL");
        field += static_cast<char>(c);
    }
}

bool CsvReader::read_quoted(Record& record, std::string& field) {
    while (true) {
        const int c = input_.get();
        if (c < 0) {
            spoil(record, "a quote is never closed");
            return false;
        }
        if (!count()) {
            spoil(record, kTooLong);
            if (c != '\n') skip_line();
            return false;
        }
        if (c == '"') {
            if (input_.peek() != '"') break;
            input_.get();
        }
        if (c == 0) spoil(record, "the row holds a NUL");
        field += static_cast<char>(c);
    }
    const int c = input_.get();
    if (c == ',' || c == '\n' || c == '\r' || c < 0) return end_field(record, c);
    spoil(record, "text behind a closing quote");
    skip_line();
    return false;
}

bool CsvReader::end_field(Record& record, int c) {
    if (c == ',') return true;
    if (c == '\r' && input_.get() != '\n') {
        spoil(record, "a carriage return inside of a row");
        skip_line();
    }
    return false;
}

}  // namespace muster::cluster
