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

TEST(Cursor, StandsInAHistory) {
    const History history{"m", {{1, 0}, {2, 400}, {4, 500}}, 600};
    for (const auto& [text, expected] : {
             Case{"m.1.0", Standing::Shared},
             Case{"m.1.399", Standing::Shared},
             Case{"m.1.400", Standing::Diverged},
             Case{"m.2.400", Standing::Shared},
             Case{"m.2.399", Standing::Diverged},
             Case{"m.3.450", Standing::Diverged},
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

TEST(Cursor, OfAHistoryIsOfTheTermThatWroteIt) {
    EXPECT_EQ(format(History{"m", {{1, 0}, {2, 400}}, 399}.cursor()), "m.1.399");
    EXPECT_EQ(format(History{"m", {{1, 0}, {2, 400}}, 400}.cursor()), "m.2.400");
    EXPECT_EQ(format(History{"m", {{1, 0}}, 0}.cursor()), "m.1.0");
}

}  // namespace
}  // namespace muster::state
