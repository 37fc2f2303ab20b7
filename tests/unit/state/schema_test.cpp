#include "state/schema.h"

#include <gtest/gtest.h>

#include "state/sqlite_store.h"
#include "unit/state/temporary_folder.h"

namespace muster::state {
namespace {

void set_format(const std::filesystem::path& file, std::uint64_t format) {
    auto database = Database::open(file, Database::Mode::Existing);
    ASSERT_TRUE(database);
    ASSERT_TRUE(database->run("PRAGMA user_version = " + std::to_string(format)));
}

TEST(Schema, ReadsTheNextFormatAndRefusesTheOneAfter) {
    const TemporaryFolder folder;
    const auto file = folder.file("directory.db");
    ASSERT_TRUE(SqliteStore::open(file));
    set_format(file, kFormat + 1);
    EXPECT_TRUE(SqliteStore::open(file));
    set_format(file, kFormat + 2);
    const auto opened = SqliteStore::open(file);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, ErrorKind::Refused);
    EXPECT_NE(opened.error().detail.find("install the newer version"), std::string::npos);
}

TEST(Schema, SomebodyElsesDatabaseIsRefused) {
    const TemporaryFolder folder;
    const auto file = folder.file("other.db");
    {
        auto database = Database::open(file, Database::Mode::Create);
        ASSERT_TRUE(database);
        ASSERT_TRUE(database->run("CREATE TABLE users(name TEXT)"));
    }
    const auto opened = SqliteStore::open(file);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, ErrorKind::Corrupt);
}

TEST(Schema, TermsRoundTrip) {
    const std::vector<Term> terms{{1, 0}, {2, 400}, {7, 18446744073709551615U}};
    EXPECT_EQ(format_terms(terms), "1:0 2:400 7:18446744073709551615");
    EXPECT_EQ(parse_terms(format_terms(terms)), terms);
    for (const char* bad : {"1", "1:", ":1", "1:2 3", "x:1", "1:99999999999999999999"}) {
        EXPECT_FALSE(parse_terms(bad)) << bad;
    }
}

}  // namespace
}  // namespace muster::state
