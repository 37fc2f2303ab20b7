#include <charconv>
#include <limits>

#include "state/feed.h"
#include "state/json_text.h"

namespace muster::state {
namespace {

constexpr std::size_t kMaxTerms = 100'000;
constexpr std::uint64_t kMaxRevision = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t kMaxMilliseconds = 1'000'000'000'000'000;  ///< some 30,000 years

/// Reads exactly what the sender writes, from left to right; once something does not fit, every
/// further step fails.
class LineReader {
public:
    explicit LineReader(std::string_view line) : rest_(line) {}

    bool starts(std::string_view text) {
        if (failed_ || !rest_.starts_with(text)) return false;
        rest_.remove_prefix(text.size());
        return true;
    }
    void expect(std::string_view text) {
        if (!starts(text)) failed_ = true;
    }
    std::uint64_t number(int base = 10) {
        std::uint64_t value = 0;
        const auto [stopped, error] =
            std::from_chars(rest_.data(), rest_.data() + rest_.size(), value, base);
        if (failed_ || error != std::errc{}) return fails(value);
        rest_.remove_prefix(static_cast<std::size_t>(stopped - rest_.data()));
        return value;
    }
    std::uint64_t number_up_to(std::uint64_t limit) {
        const std::uint64_t value = number();
        return value > limit ? fails(value) : value;
    }
    /// A JSON string with the two escapes that the sender uses.
    std::string string() {
        std::string text;
        expect("\"");
        while (!failed_ && !starts("\"")) {
            if (rest_.empty()) return fails(text);
            if (starts("\\") && (rest_.empty() || (rest_[0] != '"' && rest_[0] != '\\'))) {
                return fails(text);
            }
            text += rest_[0];
            rest_.remove_prefix(1);
        }
        return text;
    }
    std::string key() {
        std::string text = string();
        if (!failed_ && !check_key(text)) failed_ = true;
        return text;
    }
    std::string value() {
        const std::size_t length = failed_ ? 0 : json_length(rest_);
        std::string text(rest_.substr(0, length));
        if (length == 0 || length > kMaxValue) return fails(text);
        rest_.remove_prefix(length);
        return text;
    }
    [[nodiscard]] bool ended() {
        expect("}");
        return !failed_ && rest_.empty();
    }

private:
    template <typename T>
    T fails(T value) {
        failed_ = true;
        return value;
    }

    std::string_view rest_;
    bool failed_ = false;
};

EntryLine read_entry(LineReader& line) {
    EntryLine entry;
    entry.change.key = line.key();
    if (line.starts(",\"deleted\":true")) {
        entry.change.value = std::nullopt;
    } else {
        line.expect(",\"value\":");
        entry.change.value = line.value();
    }
    line.expect(",\"revision\":");
    entry.change.revision = line.number_up_to(kMaxRevision);
    return entry;
}

DigestLine read_digest(LineReader& line) {
    DigestLine digest;
    line.expect("\"");
    digest.digest = line.number(16);
    line.expect("\",\"count\":");
    digest.count = line.number();
    line.expect(",\"to\":");
    digest.to = line.key();
    return digest;
}

TermsLine read_terms(LineReader& line) {
    TermsLine terms;
    line.expect("[");
    while (line.starts("[") && terms.terms.size() < kMaxTerms) {
        Term term;
        term.number = line.number();
        line.expect(",");
        term.first = line.number();
        line.expect("]");
        terms.terms.push_back(term);
        if (!line.starts(",")) break;
    }
    line.expect("]");
    return terms;
}

Result<MarkLine> read_mark(LineReader& line) {
    auto cursor = parse_cursor(line.string());
    if (!cursor) return std::unexpected(cursor.error());
    line.expect(",\"time\":");
    const auto time =
        static_cast<std::chrono::milliseconds::rep>(line.number_up_to(kMaxMilliseconds));
    return MarkLine{std::move(*cursor), std::chrono::milliseconds{time}};
}

std::optional<ErrorLine> read_error(LineReader& line) {
    for (const Standing standing : {Standing::Behind, Standing::Diverged, Standing::Trimmed}) {
        if (line.starts('"' + std::string(name(standing)) + '"')) return ErrorLine{standing};
    }
    return std::nullopt;
}

std::unexpected<Error> not_a_line() {
    return fail(ErrorKind::Syntax, "the source sends what is no feed");
}

}  // namespace

Result<FeedLine> parse_feed_line(std::string_view text) {
    LineReader line(text);
    FeedLine parsed;
    if (line.starts("{\"key\":")) {
        parsed = read_entry(line);
    } else if (line.starts("{\"cursor\":")) {
        auto mark = read_mark(line);
        if (!mark) return not_a_line();
        parsed = std::move(*mark);
    } else if (line.starts("{\"digest\":")) {
        parsed = read_digest(line);
    } else if (line.starts("{\"next\":")) {
        parsed = NextLine{line.key()};
    } else if (line.starts("{\"terms\":")) {
        parsed = read_terms(line);
    } else if (line.starts("{\"error\":")) {
        const auto error = read_error(line);
        if (!error) return not_a_line();
        parsed = *error;
    } else {
        return not_a_line();
    }
    if (!line.ended()) return not_a_line();
    return parsed;
}

Result<> LineSplitter::feed(std::string_view bytes,
                            const std::function<Result<>(std::string_view)>& take) {
    while (true) {
        const auto end = bytes.find('\n');
        const std::string_view piece = bytes.substr(0, end);
        if (pending_.size() + piece.size() > kMaxFeedLine) {
            return fail(ErrorKind::Limit, "the source sends too long a line");
        }
        if (end == std::string_view::npos) {
            pending_ += piece;
            return {};
        }
        bytes.remove_prefix(end + 1);
        Result<> done;
        if (pending_.empty()) {
            done = take(piece);
        } else {
            pending_ += piece;
            done = take(pending_);
            pending_.clear();
        }
        if (!done) return done;
    }
}

namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (i + 2 >= text.size()) return std::nullopt;
        const int high = hex_digit(text[i + 1]);
        const int low = hex_digit(text[i + 2]);
        if (high < 0 || low < 0) return std::nullopt;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

bool set_field(FeedQuery& query, std::string_view name, std::string value) {
    if (name == "since" && query.since.empty()) {
        auto cursor = parse_cursor(value);
        if (cursor) query.since = std::move(*cursor);
        return cursor.has_value();
    }
    if (name == "from" && query.from.empty() && value.size() <= kMaxKey + 1) {
        query.from = std::move(value);
        return true;
    }
    if (name == "to" && query.to.empty() && value.size() <= kMaxKey + 1) {
        query.to = std::move(value);
        return true;
    }
    if (name != "limit") return false;
    const char* end = value.data() + value.size();
    const auto [stopped, error] = std::from_chars(value.data(), end, query.limit);
    return error == std::errc{} && stopped == end && query.limit > 0 &&
           query.limit <= kFeedPageLimit;
}

}  // namespace

Result<FeedQuery> parse_feed_query(std::string_view text) {
    FeedQuery query;
    while (!text.empty()) {
        const auto end = text.find('&');
        const std::string_view field = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        const auto equals = field.find('=');
        if (equals == std::string_view::npos) return fail(ErrorKind::Syntax, "a field without =");
        auto value = percent_decode(field.substr(equals + 1));
        if (!value || !set_field(query, field.substr(0, equals), std::move(*value))) {
            return fail(ErrorKind::Syntax, "an unknown or broken field in the query");
        }
    }
    return query;
}

}  // namespace muster::state
