#pragma once
// A position in a store's history, and the history that positions are judged against.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/ids.h"

namespace muster::state {

/// Opaque to everyone else: `incarnation.term.revision`. The incarnation is made when a store is
/// created or restored; the term counts its masters.
struct Cursor {
    std::string incarnation;  ///< 1–32 characters of [a-z0-9]; empty: no position
    std::uint64_t term = 0;
    Revision revision = 0;

    [[nodiscard]] bool empty() const { return incarnation.empty(); }
    friend bool operator==(const Cursor&, const Cursor&) = default;
};

std::string format(const Cursor& cursor);
/// Strict: exactly what format() makes, else ErrorKind::Syntax.
Result<Cursor> parse_cursor(std::string_view text);

/// One mastership and the first revision that was, or will be, written in it.
struct Term {
    std::uint64_t number = 0;
    Revision first = 0;

    friend bool operator==(const Term&, const Term&) = default;
};

/// What a source knows of its own past. `terms` ascend in both fields.
struct History {
    std::string incarnation;
    std::vector<Term> terms{};
    Revision head = 0;

    [[nodiscard]] Cursor cursor() const;
};

/// How a source stands towards somebody's cursor.
enum class Standing : std::uint8_t {
    Shared,    ///< the cursor is in this history: changes can follow
    Behind,    ///< this source has not got there yet: wait for it, never follow it back
    Diverged,  ///< the cursor belongs to another history: repair by difference
    Trimmed,   ///< shared, but the change log no longer reaches back so far: repair by difference
};
std::string_view name(Standing standing);

/// Never answers Trimmed; that is the change log's to say.
Standing standing(const History& history, const Cursor& cursor);

}  // namespace muster::state
