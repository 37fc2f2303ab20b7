#include "wire/dovecot_dict.h"

#include <algorithm>
#include <array>

#include "wire/ascii.h"
#include "wire/tabescape.h"

namespace muster::wire::dovecot_dict {
namespace {

constexpr std::size_t kMaxFields = 8;

auto broken(std::string_view what) {
    return fail(ErrorKind::Syntax, "broken dict command: " + std::string(what));
}

/// The tab-separated fields of a command, still escaped. What stands behind kMaxFields is dropped.
class Fields {
public:
    explicit Fields(std::string_view line) {
        while (count_ < kMaxFields) {
            bool last = !line.contains('\t');
            fields_[count_++] = take_until(line, '\t');
            if (last) break;
        }
    }

    [[nodiscard]] std::size_t count() const { return count_; }
    [[nodiscard]] std::string text(std::size_t at) const { return tabunescape(raw(at)); }
    [[nodiscard]] std::optional<unsigned> number(std::size_t at) const {
        auto value = parse_number(raw(at), UINT32_MAX);
        if (!value) return std::nullopt;
        return static_cast<unsigned>(*value);
    }
    [[nodiscard]] std::string_view raw(std::size_t at) const {
        return at < count_ ? fields_[at] : std::string_view{};
    }

private:
    std::array<std::string_view, kMaxFields> fields_{};
    std::size_t count_ = 0;
};

std::optional<std::int64_t> signed_number(std::string_view text) {
    bool negative = text.starts_with('-');
    if (negative) text.remove_prefix(1);
    auto value = parse_number(text, INT64_MAX);
    if (!value) return std::nullopt;
    auto number = static_cast<std::int64_t>(*value);
    return negative ? -number : number;
}

Result<Command> parse_hello(const Fields& fields) {
    auto major = fields.number(0);
    auto minor = fields.number(1);
    auto type = fields.number(2);
    if (fields.count() < 5 || !major || !minor || !type) return broken("HELLO");
    return Hello{*major, *minor, *type, fields.text(3), fields.text(4)};
}

/// Major 2: `key`. Major 3: `key TAB user`.
Result<Command> parse_lookup(const Fields& fields) {
    if (fields.raw(0).empty()) return broken("LOOKUP");
    return Lookup{fields.text(0), fields.text(1)};
}

/// `flags TAB max_rows TAB path`, in major 3 with `TAB user`. Major 2 may name more paths.
Result<Command> parse_iterate(const Fields& fields, unsigned major) {
    auto flags = fields.number(0);
    auto max_rows = parse_number(fields.raw(1));
    if (fields.count() < 3 || !flags || !max_rows) return broken("ITERATE");
    if (major < 3 && fields.count() > 3) return broken("ITERATE over several paths");
    return Iterate{*flags, *max_rows, fields.text(2), fields.text(3)};
}

Result<Command> parse_atomic_inc(unsigned id, const Fields& fields) {
    auto difference = signed_number(fields.raw(2));
    if (fields.count() < 3 || !difference) return broken("ATOMIC_INC");
    return AtomicInc{id, fields.text(1), *difference};
}

Result<Command> parse_timestamp(unsigned id, const Fields& fields) {
    auto seconds = signed_number(fields.raw(1));
    auto nanoseconds = parse_number(fields.raw(2), 999'999'999);
    if (!seconds || !nanoseconds) return broken("TIMESTAMP");
    return Timestamp{id, *seconds, static_cast<std::uint32_t>(*nanoseconds)};
}

/// Commands of a transaction start with its id.
Result<Command> parse_transaction(char letter, const Fields& fields) {
    auto id = fields.number(0);
    if (!id) return broken("transaction id");
    switch (letter) {
        case 'B': return Begin{*id, fields.text(1)};
        case 'C': return Commit{*id, false};
        case 'D': return Commit{*id, true};
        case 'R': return Rollback{*id};
        case 'S':
            if (fields.count() < 3) return broken("SET");
            return Set{*id, fields.text(1), fields.text(2)};
        case 'U':
            if (fields.count() < 2) return broken("UNSET");
            return Unset{*id, fields.text(1)};
        case 'A': return parse_atomic_inc(*id, fields);
        case 'T': return parse_timestamp(*id, fields);
        case 'V': return HideLogValues{*id, fields.raw(1) != "0"};
        default: return broken("unknown letter");
    }
}

std::string answer(AsyncId async_id) {
    return async_id ? '+' + std::to_string(*async_id) + '\t' : std::string();
}

}  // namespace

Result<Command> parse_command(std::string_view line, unsigned major) {
    if (line.empty() || line.size() > kMaxLine) return broken("length");
    if (line.contains('\0') || line.contains('\n')) return broken("invalid octet");
    Fields fields(line.substr(1));
    switch (line.front()) {
        case 'H': return parse_hello(fields);
        case 'L': return parse_lookup(fields);
        case 'I': return parse_iterate(fields, major);
        default: return parse_transaction(line.front(), fields);
    }
}

std::string write_async_id(std::uint32_t id) { return '*' + std::to_string(id) + '\n'; }

std::string write_found(std::string_view value, AsyncId async_id) {
    std::string line = answer(async_id) + 'O';
    append_tabescaped(line, value);
    return line += '\n';
}

std::string write_not_found(AsyncId async_id) { return answer(async_id) + "N\n"; }

std::string write_failure(std::string_view reason, AsyncId async_id) {
    std::string line = answer(async_id) + 'F';
    append_tabescaped(line, reason);
    return line += '\n';
}

std::string write_row(std::string_view key, std::string_view value, AsyncId async_id) {
    std::string line = answer(async_id) + 'O';
    append_tabescaped(line, key);
    line += '\t';
    append_tabescaped(line, value);
    return line += '\n';
}

std::string write_end_of_rows(AsyncId async_id) { return answer(async_id) + '\n'; }

std::string write_commit(const Commit& commit, CommitResult result, std::string_view reason,
                         AsyncId async_id) {
    std::string line = answer(async_id);
    if (commit.async) line += 'A';
    line += static_cast<char>(result);
    line += std::to_string(commit.id);
    if (result == CommitResult::Failed || result == CommitResult::Uncertain) {
        line += '\t';
        append_tabescaped(line, reason);
    }
    return line += '\n';
}

}  // namespace muster::wire::dovecot_dict
