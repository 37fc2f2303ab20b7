#include "state/replica.h"

#include <gtest/gtest.h>

#include "state/sqlite_store.h"
#include "unit/state/temporary_folder.h"

namespace muster::state {
namespace {

TEST(Replica, OfAStoreReadsItsFileInPlace) {
    const TemporaryFolder folder;
    const auto store = *SqliteStore::open(folder.file("directory.db"));
    const auto replica = Replica::of_store(*store, store->file());
    EXPECT_TRUE(replica->filled());
    EXPECT_EQ(replica->age(), std::chrono::milliseconds{0});
    ReplicaReader reader(replica);
    EXPECT_FALSE(*reader.find("server/sv1"));
    const auto version = replica->version();
    std::vector<std::string> heard;
    const Watch watch = replica->watch([&](const Changed& changed) {
        heard.insert(heard.end(), changed.keys.begin(), changed.keys.end());
    });
    const auto revision = store->commit(Transaction().put("server/sv1", R"({"weight":1})"));
    const auto row = reader.find("server/sv1");
    ASSERT_TRUE(row && *row);
    EXPECT_EQ((*row)->value, R"({"weight":1})");
    EXPECT_EQ((*row)->revision, *revision);
    EXPECT_GT(replica->version(), version);
    EXPECT_EQ(heard, std::vector<std::string>{"server/sv1"});
    EXPECT_EQ(reader.range("server/", prefix_end("server/"), 10)->size(), 1U);
}

TEST(Replica, AFolderThatWasNeverFilledSaysSo) {
    const TemporaryFolder folder;
    const auto replica = Replica::of_folder(folder.path());
    ASSERT_TRUE(replica);
    EXPECT_FALSE((*replica)->filled());
    ReplicaReader reader(*replica);
    EXPECT_EQ(reader.find("server/sv1").error().kind, ErrorKind::Unavailable);
    EXPECT_EQ(reader.range("", "", 1).error().kind, ErrorKind::Unavailable);
}

TEST(Replica, DamageIsToldOnce) {
    const TemporaryFolder folder;
    const auto replica = *Replica::of_folder(folder.path());
    EXPECT_FALSE(replica->damaged());
    replica->report_damage("a test");
    replica->report_damage("a test");
    EXPECT_TRUE(replica->damaged());
}

}  // namespace
}  // namespace muster::state
