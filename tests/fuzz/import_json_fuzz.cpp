// JSON lines of the account import: one row a line, whatever stands in it.
#include <algorithm>

#include "cluster/import_rows.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace muster::cluster;
    const auto text = muster::fuzz::text(data, size);
    std::string_view left = text;
    const auto rows = open_rows(
        AccountFormat::JsonLines, [&](std::span<char> buffer) -> muster::Result<std::size_t> {
            const std::size_t taken =
                left.copy(buffer.data(), std::min<std::size_t>(5, buffer.size()));
            left.remove_prefix(taken);
            return taken;
        });
    ImportRow row;
    std::size_t count = 0;
    std::uint64_t line = 0;
    while (rows->next(row).value_or(false)) {
        ++count;
        MUST(row.line > line);
        line = row.line;
        MUST(!row.reason.empty() || !row.address.empty() || !row.to.empty());
    }
    MUST(count <= static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1);
    return 0;
}
