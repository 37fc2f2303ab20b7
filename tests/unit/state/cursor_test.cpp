#include "state/cursor.h"

#include <gtest/gtest.h>

namespace muster::state {
namespace {

TEST(Cursor, RoundTrips) {
    const Cursor cursor{"018f3c", 2, 18446744073709551615U};
    EXPECT_EQ(format(cursor), "018f3c.2.18446744073709551615");
    EXPECT_EQ(parse_cursor(format(cursor)), cursor);
}

TEST(Cursor, ParsesStrictly) {
    for (const char* bad :
         {"", ".", "..", "a.1", "a.1.", "a..1", ".1.1", "a.1.1.1", "a.01.1", "a.1.-1", "a.1.+1",
          "a.1. 1", "A.1.1", "a_b.1.1", "a.1.99999999999999999999", "a.1.1\n", "a.x.1",
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.1.1"}) {
        const auto cursor = parse_cursor(bad);
        ASSERT_FALSE(cursor) << bad;
        EXPECT_EQ(cursor.error().kind, ErrorKind::Syntax);
    }
}

struct Case {
    const char* cursor;
    Standing expected;
};

/// The number of a term.
std::uint64_t term(std::uint64_t mastership, std::uint64_t mark) {
    return (mastership << kMarkBits) + mark;
}

Standing stands(const History& history, std::uint64_t term, Revision revision) {
    return standing(history, {history.incarnation, term, revision});
}

/// Terms as they were written before masters drew marks.
TEST(Cursor, StandsInAHistoryOfOneMastership) {
    const History history{"m", {{1, 0}, {2, 400}, {4, 500}}, 600};
    for (const auto& [text, expected] : {
             Case{"m.1.0", Standing::Shared},
             Case{"m.1.399", Standing::Shared},
             Case{"m.1.400", Standing::Behind},
             Case{"m.2.400", Standing::Shared},
             Case{"m.2.399", Standing::Diverged},
             Case{"m.3.450", Standing::Behind},
             Case{"m.4.500", Standing::Shared},
             Case{"m.4.600", Standing::Shared},
             Case{"m.4.601", Standing::Behind},
             Case{"m.5.550", Standing::Behind},
             Case{"a.4.600", Standing::Diverged},
             Case{"z.1.1", Standing::Behind},
         }) {
        EXPECT_EQ(standing(history, *parse_cursor(text)), expected) << text;
    }
    EXPECT_EQ(standing(history, Cursor{}), Standing::Diverged);
}

TEST(Cursor, WhatADeposedMasterWroteIsDiverged) {
    // Promoted at revision 100, then at 140 once more.
    const History history{"m", {{term(0, 7), 0}, {term(1, 3), 101}, {term(2, 9), 141}}, 150};
    EXPECT_EQ(stands(history, term(0, 7), 100), Standing::Shared);
    EXPECT_EQ(stands(history, term(0, 7), 101), Standing::Diverged);  // wrote on
    EXPECT_EQ(stands(history, term(0, 8), 101), Standing::Diverged);  // started again, wrote on
    EXPECT_EQ(stands(history, term(1, 3), 140), Standing::Shared);
    EXPECT_EQ(stands(history, term(1, 3), 141), Standing::Diverged);
    EXPECT_EQ(stands(history, term(2, 9), 151), Standing::Behind);
    EXPECT_EQ(stands(history, term(3, 1), 120), Standing::Behind);  // promoted since
}

TEST(Cursor, AMasterThatWasSetBackIsNeverFollowed) {
    // A follower took revision 120 in the third run of a master, whose disk is then set back to the
    // first run, at revision 40. What is seen of it next is another run, whatever it wrote.
    const std::uint64_t first = term(1, 1'000);
    const std::uint64_t second = next_run(first, 5'000);
    const std::uint64_t third = next_run(second, 700);
    for (const Revision head : {40U, 41U, 119U, 120U, 121U, 500U}) {
        for (const std::uint64_t random : {0U, 4'999U, 5'001U, 5'700U, 65'535U}) {
            History restored{"m", {{first, 1}}, 40};
            restored.begin(next_run(first, random));
            restored.head = head;
            EXPECT_EQ(stands(restored, third, 120), Standing::Behind) << head << ' ' << random;
            EXPECT_EQ(stands(restored, first, 60), Standing::Behind) << head << ' ' << random;
            EXPECT_EQ(stands(restored, first, 40), Standing::Shared);
        }
    }
    // The same after the upgrade from a version that drew no marks.
    History restored{"m", {{1, 0}, {2, 1}}, 40};
    restored.begin(next_run(2, 77));
    restored.head = 300;
    EXPECT_EQ(stands(restored, 2, 120), Standing::Behind);
    EXPECT_EQ(stands(restored, next_run(2, 78), 120), Standing::Behind);
}

TEST(Cursor, TermsAreForgottenAfterTwoHundred) {
    History history{"m", {{1, 0}}, 0};
    for (Revision at = 1; at <= 300; ++at) {
        history.begin(history.terms.back().number + 10);
        history.head = at;
    }
    ASSERT_EQ(history.terms.size(), kTermsKept);
    const Term oldest = history.terms.front();
    EXPECT_EQ(stands(history, oldest.number, oldest.first), Standing::Shared);
    EXPECT_EQ(stands(history, oldest.number - 10, oldest.first - 1), Standing::Trimmed);
    EXPECT_EQ(stands(history, 1, 0), Standing::Trimmed);
}

TEST(Cursor, ATermWithoutRevisionsGivesWay) {
    History history{"m", {{1, 0}}, 5};
    history.begin(20);
    history.begin(30);
    EXPECT_EQ(history.terms, (std::vector<Term>{{1, 0}, {30, 6}}));
}

TEST(Cursor, TermNumbersGoUpwardsAndFitIntoJson) {
    EXPECT_EQ(mastership(3), 0U);
    EXPECT_EQ(next_run(3, 0), 4U);
    EXPECT_EQ(next_run(3, 65'535), 3U + 65'536);
    EXPECT_EQ(mastership(next_run(term(5, 0xFFFFFF), 9)), 6U);
    EXPECT_EQ(mastership(next_mastership(term(5, 17), 9)), 6U);
    EXPECT_LT(term((1U << 29U) - 1, 0xFFFFFF), std::uint64_t{1} << 53U);
}

TEST(Cursor, WhatTwoHistoriesShare) {
    const std::vector<Term> begin{{term(0, 7), 0}, {term(0, 9), 50}};
    History ours{"m", begin, 130};
    History theirs{"m", begin, 110};
    EXPECT_EQ(shared_up_to(ours, theirs), 110U);
    theirs.begin(term(1, 1));
    EXPECT_EQ(shared_up_to(ours, theirs), 110U);  // ours went on
    ours.begin(term(0, 11));
    EXPECT_EQ(shared_up_to(ours, theirs), 110U);
    theirs.terms.erase(theirs.terms.begin());
    EXPECT_EQ(shared_up_to(ours, theirs), 110U);
    theirs.terms.erase(theirs.terms.begin());
    EXPECT_EQ(shared_up_to(ours, theirs), 0U);
    EXPECT_EQ(shared_up_to(ours, {"n", ours.terms, 130}), 0U);
}

TEST(Cursor, OfAHistoryIsOfTheTermThatWroteIt) {
    EXPECT_EQ(format(History{"m", {{1, 0}, {2, 400}}, 399}.cursor()), "m.1.399");
    EXPECT_EQ(format(History{"m", {{1, 0}, {2, 400}}, 400}.cursor()), "m.2.400");
    EXPECT_EQ(format(History{"m", {{1, 0}}, 0}.cursor()), "m.1.0");
}

}  // namespace
}  // namespace muster::state
