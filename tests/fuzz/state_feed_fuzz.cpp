// The replication feed: lines, queries and cursors, and lines cut out of any pieces.
#include "fuzz.h"
#include "state/feed.h"
#include "state/json_text.h"

namespace muster::state {
namespace {

using Lines = std::vector<std::string>;

Lines split(std::string_view text, std::size_t piece) {
    Lines lines;
    LineSplitter splitter;
    for (std::size_t at = 0; at < text.size(); at += piece) {
        auto done = splitter.feed(text.substr(at, piece), [&](std::string_view line) -> Result<> {
            lines.emplace_back(line);
            return {};
        });
        MUST(done);
    }
    return lines;
}

void line(std::string_view text) {
    const auto parsed = parse_feed_line(text);
    if (!parsed) return;
    if (const auto* entry = std::get_if<EntryLine>(&*parsed)) {
        MUST(check_key(entry->change.key));
        if (entry->change.value) MUST(check_value(*entry->change.value));
    }
    if (const auto* mark = std::get_if<MarkLine>(&*parsed)) {
        MUST(parse_cursor(format(mark->cursor)) == mark->cursor);
    }
    if (const auto* next = std::get_if<NextLine>(&*parsed)) MUST(check_key(next->key));
}

void query(std::string_view text) {
    const auto parsed = parse_feed_query(text);
    if (!parsed) return;
    MUST(parsed->limit > 0 && parsed->limit <= kFeedPageLimit);
    const auto again = parse_feed_query("from=" + percent_encode(parsed->from) +
                                        "&to=" + percent_encode(parsed->to));
    MUST(again && again->from == parsed->from && again->to == parsed->to);
}

}  // namespace
}  // namespace muster::state

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace muster::state;
    const auto text = muster::fuzz::text(data, size);
    const auto lines = split(text, size + 1);
    MUST(lines == split(text, 1));
    for (const auto& one : lines) line(one);
    line(text);
    query(text);
    if (const auto cursor = parse_cursor(text)) MUST(format(*cursor) == text);
    return 0;
}
