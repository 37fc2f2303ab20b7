#include "state/cursor.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace muster::state {
namespace {

constexpr std::size_t kMaxIncarnation = 32;

bool is_incarnation(std::string_view text) {
    return !text.empty() && text.size() <= kMaxIncarnation && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    });
}

/// Decimal without sign or leading zeros.
bool parse_number(std::string_view text, std::uint64_t& number) {
    if (text.empty() || (text.size() > 1 && text.front() == '0')) return false;
    const auto [stopped, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && stopped == text.data() + text.size();
}

/// The term in which `revision` was written, or nullptr for one before all terms.
const Term* term_of(const std::vector<Term>& terms, Revision revision) {
    const auto after =
        std::ranges::upper_bound(terms, revision, {}, [](const Term& term) { return term.first; });
    return after == terms.begin() ? nullptr : &*std::prev(after);
}

}  // namespace

std::string format(const Cursor& cursor) {
    return cursor.incarnation + '.' + std::to_string(cursor.term) + '.' +
           std::to_string(cursor.revision);
}

Result<Cursor> parse_cursor(std::string_view text) {
    const auto first = text.find('.');
    const auto second = first == std::string_view::npos ? first : text.find('.', first + 1);
    if (second == std::string_view::npos) return fail(ErrorKind::Syntax, "not a cursor");
    Cursor cursor{.incarnation = std::string(text.substr(0, first))};
    if (!is_incarnation(cursor.incarnation) ||
        !parse_number(text.substr(first + 1, second - first - 1), cursor.term) ||
        !parse_number(text.substr(second + 1), cursor.revision)) {
        return fail(ErrorKind::Syntax, "not a cursor");
    }
    return cursor;
}

Cursor History::cursor() const {
    const Term* term = term_of(terms, head);
    return {incarnation, term ? term->number : 0, head};
}

std::string_view name(Standing standing) {
    static constexpr std::array<std::string_view, 4> kNames{"shared", "behind", "diverged",
                                                            "trimmed"};
    return kNames[static_cast<std::size_t>(standing)];
}

Standing standing(const History& history, const Cursor& cursor) {
    if (cursor.incarnation != history.incarnation) {
        // Incarnations begin with the time of their making: a source that was not yet told of a
        // restored state is behind it.
        return cursor.incarnation > history.incarnation ? Standing::Behind : Standing::Diverged;
    }
    const std::uint64_t last = history.terms.empty() ? 0 : history.terms.back().number;
    if (cursor.term > last) return Standing::Behind;
    const Term* term = term_of(history.terms, cursor.revision);
    if (!term || term->number != cursor.term) return Standing::Diverged;
    return cursor.revision > history.head ? Standing::Behind : Standing::Shared;
}

}  // namespace muster::state
