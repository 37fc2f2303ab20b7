// CSV of the account import: rows and fields are bounded, lines are counted upwards, and how the
// bytes arrive does not change what they say.
#include "cluster/import_rows.h"
#include "fuzz.h"

namespace muster::cluster {
namespace {

ByteReader pieces(std::string_view text, std::size_t piece) {
    return [text, piece](std::span<char> buffer) mutable -> Result<std::size_t> {
        const std::size_t size = text.copy(buffer.data(), std::min(piece, buffer.size()));
        text.remove_prefix(size);
        return size;
    };
}

std::vector<CsvReader::Record> records_of(std::string_view text, std::size_t piece) {
    CsvReader reader(pieces(text, piece));
    std::vector<CsvReader::Record> records;
    CsvReader::Record record;
    while (reader.next(record).value_or(false)) {
        MUST(record.fields.size() <= kMaxImportFields);
        for (const auto& field : record.fields) MUST(field.size() <= kMaxImportLine);
        MUST(records.empty() || record.line > records.back().line);
        records.push_back(record);
    }
    return records;
}

void rows(std::string_view text) {
    const auto rows = open_rows(AccountFormat::Csv, pieces(text, 64));
    ImportRow row;
    while (rows->next(row).value_or(false)) MUST(row.to.empty());
}

}  // namespace
}  // namespace muster::cluster

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace muster::cluster;
    const auto text = muster::fuzz::text(data, size);
    const auto whole = records_of(text, 1 << 16);
    const auto single = records_of(text, 1);
    MUST(whole.size() == single.size());
    for (std::size_t i = 0; i < whole.size(); ++i) {
        MUST(whole[i].fields == single[i].fields && whole[i].reason == single[i].reason);
    }
    rows(text);
    rows("address,password,keys,aliases\n" + std::string(text));
    return 0;
}
