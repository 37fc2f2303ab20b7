#include "cluster/import_rows.h"
#include "cluster/json_fields.h"

namespace muster::cluster {

namespace {

constexpr std::size_t kMaxText = 4096;

/// A number may stand as a number or as a text.
std::string number_text(FieldReader& fields, std::string_view field) {
    const nlohmann::json value = fields.take(field);
    if (value.is_null()) return {};
    if (value.is_number_unsigned()) return std::to_string(value.get<std::uint64_t>());
    if (value.is_string()) return value.get<std::string>();
    fields.reject(field, "must be a whole number");
    return {};
}

void read_account(FieldReader& fields, ImportRow& row) {
    row.address = fields.text("address", kMaxText);
    fields.require("address", !row.address.empty());
    row.id = fields.text("id", kMaxText);
    row.home = fields.text("home", kMaxText);
    row.state = fields.text("state", kMaxText);
    row.quota = number_text(fields, "quota");
    row.epoch = number_text(fields, "epoch");
    row.password = fields.text("password", kMaxText);
    row.keys = fields.list("keys", kMaxText);
    row.aliases = fields.list("aliases", kMaxText);
}

void read_alias(FieldReader& fields, ImportRow& row) {
    row.address = fields.text("alias", kMaxText);
    row.to = fields.list("to", kMaxText);
    fields.require("to", !row.to.empty());
}

void read_object(std::string_view line, ImportRow& row) {
    auto object = parse_object(line);
    if (!object) {
        row.reason = object.error().detail;
        return;
    }
    FieldReader fields(std::move(*object));
    if (fields.rest().contains("alias")) {
        read_alias(fields, row);
    } else {
        read_account(fields, row);
    }
    if (!fields.rest().empty()) {
        fields.reject(fields.rest().begin().key().substr(0, 64), "is no field of an account");
    }
    if (auto ok = fields.result(); !ok) row.reason = ok.error().detail;
}

class JsonRows : public ImportRows {
public:
    explicit JsonRows(ByteReader input) : input_(std::move(input)) {}

    Result<bool> next(ImportRow& row) override {
        row = ImportRow{};
        while (input_.peek() == '\n' || input_.peek() == '\r') input_.get();
        row.line = input_.line();
        bool fits = true;
        line_.clear();
        int c = input_.get();
        if (c < 0) {
            if (input_.error()) return std::unexpected(*input_.error());
            return false;
        }
        for (; c >= 0 && c != '\n'; c = input_.get()) {
            fits = fits && line_.size() < kMaxImportLine;
            if (fits) line_ += static_cast<char>(c);
        }
        if (input_.error()) return std::unexpected(*input_.error());
        if (!fits) {
            row.reason = "the row is longer than 64 KiB";
        } else {
            read_object(line_, row);
        }
        return true;
    }

private:
    ByteCursor input_;
    std::string line_;
};

}  // namespace

std::unique_ptr<ImportRows> open_rows(AccountFormat format, ByteReader input) {
    if (format == AccountFormat::Csv) return open_csv_rows(std::move(input));
    return std::make_unique<JsonRows>(std::move(input));
}

Result<AccountFormat> account_format_from(std::string_view text) {
    if (text == "csv") return AccountFormat::Csv;
    if (text == "jsonl") return AccountFormat::JsonLines;
    return fail(ErrorKind::Syntax, "the format can be csv or jsonl");
}

}  // namespace muster::cluster
