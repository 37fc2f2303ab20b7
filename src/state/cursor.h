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
/// created or restored; the term says which run of which master wrote.
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

/// One run of a master and the first revision that was, or will be, written in it. The number is
/// the mastership (promotions so far) above 24 bits of a mark, which each start of a master draws
/// anew, upwards: a master that runs on an old image of its disk is told by its mark. Numbers stay
/// below 2^53, so that every reader of JSON keeps them.
struct Term {
    std::uint64_t number = 0;
    Revision first = 0;

    friend bool operator==(const Term&, const Term&) = default;
};

inline constexpr unsigned kMarkBits = 24;
/// How many terms a store remembers; a cursor of an earlier one is Trimmed.
inline constexpr std::size_t kTermsKept = 200;

constexpr std::uint64_t mastership(std::uint64_t term) { return term >> kMarkBits; }

/// The number of the term that a master begins when it starts; `random` is any number. Once the
/// marks are used up, the first of the next mastership.
std::uint64_t next_run(std::uint64_t last, std::uint64_t random);
/// The same when another node is promoted.
std::uint64_t next_mastership(std::uint64_t last, std::uint64_t random);

/// What a source knows of its own past. `terms` ascend in both fields.
struct History {
    std::string incarnation;
    std::vector<Term> terms{};
    Revision head = 0;

    [[nodiscard]] Cursor cursor() const;
    /// What is written from now on belongs to this term; a last one without revisions gives way.
    void begin(std::uint64_t term);
};

/// The last revision that both histories have; 0 when they share nothing that is remembered.
Revision shared_up_to(const History& ours, const History& theirs);

/// How a source stands towards somebody's cursor.
enum class Standing : std::uint8_t {
    Shared,    ///< the cursor is in this history: changes can follow
    Behind,    ///< this source has not got there yet, or was set back: wait, never follow it back
    Diverged,  ///< the cursor belongs to another history: repair by difference
    Trimmed,   ///< older than what the source remembers: repair by difference
};
std::string_view name(Standing standing);

/// A cursor of the source's own mastership that its history does not hold is ahead of it (Behind):
/// the source was set back, or has not heard of it yet. One of a lower mastership is Diverged: that
/// master went on after another one had been promoted. How far the change log reaches back is not
/// looked at.
Standing standing(const History& history, const Cursor& cursor);

}  // namespace muster::state
