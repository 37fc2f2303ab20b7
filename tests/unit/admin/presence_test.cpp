#include "admin/presence.h"

#include <gtest/gtest.h>

#include "state/sqlite_store.h"
#include "unit/state/temporary_folder.h"

namespace muster::admin {
namespace {

using namespace std::chrono_literals;

const NodeName kNode{"fe1"};

class PresenceOfVisitors : public ::testing::Test {
protected:
    /// Members with an update interval come, take what is new, and go.
    bool visits(const char* instance, std::chrono::seconds interval) {
        if (presence_.taken(kNode, instance)) return false;
        return presence_.enter(kNode, {instance, "192.0.2.1:7", "1", now_, interval}, [] {})
            .has_value();
    }

    const state::TemporaryFolder folder_;
    std::unique_ptr<state::SqliteStore> store_ =
        *state::SqliteStore::open(folder_.file("coordination.db"));
    WallTime now_{1'000'000s};
    Presence presence_{*store_, [this] { return now_; }};
};

TEST_F(PresenceOfVisitors, AnInstanceThatComesBackAfterAnotherIsATwin) {
    EXPECT_TRUE(visits("a", 1h));
    now_ += 30min;
    EXPECT_TRUE(visits("b", 1h)) << "started anew, for all that is known";
    now_ += 30min;
    EXPECT_FALSE(visits("a", 1h));
    now_ += 30min;
    EXPECT_TRUE(visits("b", 1h));
}

TEST_F(PresenceOfVisitors, OnceTheTwinHasMissedAVisitTheOtherIsFree) {
    EXPECT_TRUE(visits("a", 1h));
    EXPECT_TRUE(visits("b", 1h));
    now_ += 1h;
    EXPECT_FALSE(visits("a", 1h));
    now_ += 2min;
    EXPECT_TRUE(visits("a", 1h));
}

}  // namespace
}  // namespace muster::admin
