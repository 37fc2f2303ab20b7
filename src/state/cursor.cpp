#include "state/cursor.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace muster::state {
namespace {

constexpr std::size_t kMaxIncarnation = 32;
/// A run draws its mark among so many: two that begin at the same place hardly meet, and the marks
/// of one mastership last for some 500 starts.
constexpr std::uint64_t kMarkStep = 1 << 16;

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

void History::begin(std::uint64_t term) {
    if (!terms.empty() && terms.back().first == head + 1) terms.pop_back();
    terms.push_back({term, head + 1});
    if (terms.size() > kTermsKept) {
        terms.erase(terms.begin(), terms.end() - static_cast<std::ptrdiff_t>(kTermsKept));
    }
}

std::uint64_t next_run(std::uint64_t last, std::uint64_t random) {
    // The step that leaves a mastership's marks lands among the first ones of the next.
    return last + 1 + random % kMarkStep;
}

std::uint64_t next_mastership(std::uint64_t last, std::uint64_t random) {
    return ((mastership(last) + 1) << kMarkBits) + random % kMarkStep;
}

Revision shared_up_to(const History& ours, const History& theirs) {
    if (ours.incarnation != theirs.incarnation) return 0;
    const auto end_of = [](const History& history, auto term) {
        const auto next = std::next(term);
        return next == history.terms.end() ? history.head : next->first - 1;
    };
    // Both may have forgotten their first terms: the last one that both know counts.
    for (auto term = ours.terms.end(); term != ours.terms.begin();) {
        --term;
        const auto same = std::ranges::find(theirs.terms, *term);
        if (same == theirs.terms.end()) continue;
        return std::min(end_of(ours, term), end_of(theirs, same));
    }
    return 0;
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
    if (history.terms.empty()) return Standing::Diverged;
    const std::uint64_t reign = mastership(history.terms.back().number);
    if (mastership(cursor.term) > reign) return Standing::Behind;
    const auto ahead = mastership(cursor.term) == reign ? Standing::Behind : Standing::Diverged;
    const auto term = std::ranges::find(history.terms, cursor.term, &Term::number);
    if (term == history.terms.end()) {
        const Term& oldest = history.terms.front();
        const bool forgotten = oldest.first > 0 && cursor.term < oldest.number;
        return forgotten ? Standing::Trimmed : ahead;
    }
    if (cursor.revision < term->first) return Standing::Diverged;
    const auto next = std::next(term);
    if (next != history.terms.end()) {
        return cursor.revision < next->first ? Standing::Shared : ahead;
    }
    return cursor.revision > history.head ? Standing::Behind : Standing::Shared;
}

}  // namespace muster::state
