#include "state/directory_store.h"

#include <gtest/gtest.h>

#include "state/follower_session.h"
#include "unit/state/fake_source.h"
#include "unit/state/temporary_folder.h"

namespace muster::state {
namespace {

using namespace std::chrono_literals;

/// A node that may lead: its folder, its replica, and the store that it shows to others.
struct StandIn {
    explicit StandIn(std::filesystem::path where) : folder(std::move(where)) {
        std::filesystem::create_directory(folder);
        start();
    }
    /// As a process does when it starts.
    void start() {
        writer.reset();
        store.reset();
        replica.reset();
        const auto file = leading_file(folder);
        if (file) {
            replica = Replica::of_file(*file);
            store = std::make_unique<DirectoryStore>(replica);
            store->lead(*SqliteStore::open(*file));
            EXPECT_TRUE(store->begin_term());
            return;
        }
        replica = *Replica::of_folder(folder);
        store = std::make_unique<DirectoryStore>(replica);
        writer = *ReplicaWriter::open(replica, Scope::All);
    }
    Error sync(Store& from) {
        auto wire = std::make_shared<Wire>();
        wire->store = &from;
        wire->scope = Scope::All;
        FakeSource source(wire);
        FollowerStatus status;
        FollowerSession session(*replica, *writer, source, {Scope::All, 10}, {},
                                [&](const auto& change) { change(status); });
        return session.run();
    }
    void promote() {
        writer.reset();
        auto led = SqliteStore::open(replica->file());
        ASSERT_TRUE(led) << led.error().detail;
        ASSERT_TRUE((*led)->begin_mastership());
        store->lead(std::move(*led));
    }
    void depose() {
        ASSERT_TRUE(store->stop_writes({ErrorKind::Unavailable, "", "deposed"}, 1s));
        ASSERT_TRUE(store->follow());
        writer = *ReplicaWriter::open(replica, Scope::All);
    }
    [[nodiscard]] std::vector<Entry> entries() const {
        return *ReplicaReader(replica).range("", "", 1'000);
    }

    std::filesystem::path folder;
    std::shared_ptr<Replica> replica;
    std::unique_ptr<DirectoryStore> store;
    std::unique_ptr<ReplicaWriter> writer;
};

class DirectoryStoreTest : public testing::Test {
protected:
    void SetUp() override {
        std::filesystem::create_directory(folder_.file("a"));
        ASSERT_TRUE(SqliteStore::open(folder_.file("a") / "directory.db"));
        a_ = std::make_unique<StandIn>(folder_.file("a"));
        b_ = std::make_unique<StandIn>(folder_.file("b"));
        for (int i = 0; i < 30; ++i) put(*a_, "account/a" + std::to_string(100 + i));
    }
    static Revision put(StandIn& node, const std::string& key, const std::string& value = "{}") {
        const auto done = node.store->commit(Transaction().put(key, value));
        EXPECT_TRUE(done) << key << ": " << done.error().detail;
        return done.value_or(0);
    }
    static std::size_t told(StandIn& node, const Cursor& since) {
        const auto batch = node.store->changes(since, 1'000, Scope::All);
        EXPECT_TRUE(batch && batch->standing == Standing::Shared);
        return batch->changes.size();
    }

    TemporaryFolder folder_;
    std::unique_ptr<StandIn> a_;
    std::unique_ptr<StandIn> b_;
};

TEST_F(DirectoryStoreTest, AStandInIsASourceOnceItIsInStep) {
    const auto before = b_->store->changes(a_->store->head(), 10, Scope::All);
    ASSERT_FALSE(before);
    EXPECT_EQ(before.error().kind, ErrorKind::Unavailable);
    EXPECT_EQ(b_->store->commit(Transaction().put("a/b", "1")).error().kind,
              ErrorKind::Unavailable);
    b_->sync(*a_->store);
    const Cursor since = b_->store->head();
    EXPECT_EQ(since, a_->store->head());
    put(*a_, "token/x");  // a stand-in has what no other node may see
    ASSERT_TRUE(a_->store->commit(Transaction().remove("account/a100")));
    b_->sync(*a_->store);
    EXPECT_EQ(told(*b_, since), 2U);

    // A third node copies from the stand-in, and follows it.
    StandIn c(folder_.file("c"));
    c.sync(*b_->store);
    EXPECT_EQ(c.entries(), a_->entries());
    put(*a_, "account/late");
    b_->sync(*a_->store);
    c.sync(*b_->store);
    EXPECT_EQ(c.entries(), a_->entries());
    EXPECT_EQ(c.store->history().terms, a_->store->history().terms);
}

TEST_F(DirectoryStoreTest, TheLogOfAStandInHasAFloorAndSurvivesARestart) {
    const Cursor early = a_->store->head();
    put(*a_, "node/one");
    b_->sync(*a_->store);
    EXPECT_EQ(b_->store->changes(early, 10, Scope::All)->standing, Standing::Trimmed);
    const Cursor since = b_->store->head();
    put(*a_, "node/two");
    b_->sync(*a_->store);
    b_->start();
    EXPECT_EQ(told(*b_, since), 1U);
    put(*a_, "node/three");
    b_->sync(*a_->store);
    EXPECT_EQ(told(*b_, since), 2U);
}

TEST_F(DirectoryStoreTest, WhileItIsRepairedItIsNoSource) {
    b_->sync(*a_->store);
    const Cursor since = b_->store->head();
    EXPECT_TRUE(b_->store->page("", "", 10, Scope::All));
    ASSERT_TRUE(b_->writer->begin_repair({}));
    EXPECT_EQ(b_->store->changes(since, 10, Scope::All).error().kind, ErrorKind::Unavailable);
    EXPECT_EQ(b_->store->page("", "", 10, Scope::All).error().kind, ErrorKind::Unavailable);
    b_->start();
    EXPECT_EQ(b_->store->page("", "", 10, Scope::All).error().kind, ErrorKind::Unavailable);
    EXPECT_EQ(b_->entries(), a_->entries());  // its own look-ups go on
    b_->sync(*a_->store);
    EXPECT_EQ(told(*b_, since), 0U);
}

TEST_F(DirectoryStoreTest, APlannedChangeLosesNothingAndStreamsGoOn) {
    b_->sync(*a_->store);
    ChangeStream stream(*b_->store, Scope::All, b_->store->head());
    ASSERT_TRUE(stream.next());
    int heard = 0;
    const Watch watch = b_->store->watch([&](const Changed&) { ++heard; });

    ASSERT_TRUE(a_->store->stop_writes({ErrorKind::Unavailable, "", "the master is changing"}, 1s));
    EXPECT_EQ(a_->store->commit(Transaction().put("a/b", "1")).error().detail,
              "the master is changing");
    b_->sync(*a_->store);
    ASSERT_EQ(a_->store->head(), b_->store->head());
    ASSERT_TRUE(a_->store->follow());
    a_->writer = *ReplicaWriter::open(a_->replica, Scope::All);
    b_->promote();
    put(*b_, "account/after");
    EXPECT_EQ(heard, 1);
    EXPECT_TRUE(stream.next()->contains("account/after"));

    EXPECT_EQ(a_->sync(*b_->store).public_text, "the source ended its stream");
    EXPECT_EQ(a_->entries(), b_->entries());
    EXPECT_EQ(a_->store->head(), b_->store->head());
    // And back, after both have been started anew.
    a_->start();
    b_->start();
    EXPECT_FALSE(a_->store->leading());
    EXPECT_TRUE(b_->store->leading());
    put(*b_, "account/more");
    a_->sync(*b_->store);
    b_->depose();
    a_->promote();
    put(*a_, "account/back");
    b_->sync(*a_->store);
    EXPECT_EQ(a_->entries(), b_->entries());
    EXPECT_EQ(mastership(a_->store->history().terms.back().number), 2U);
}

TEST_F(DirectoryStoreTest, ADeposedMasterIsRepairedWhateverItWrote) {
    b_->sync(*a_->store);
    put(*a_, "account/a100", R"({"lost":1})");
    put(*a_, "account/lost");
    b_->promote();
    put(*b_, "account/a100", R"({"kept":1})");
    put(*b_, "account/kept");
    a_->start();  // and led once more
    put(*a_, "account/lost2");
    EXPECT_EQ(shared_up_to(a_->store->history(), b_->store->history()), 30U);
    a_->depose();
    a_->sync(*b_->store);
    EXPECT_EQ(a_->entries(), b_->entries());
    EXPECT_EQ(a_->store->head(), b_->store->head());
}

TEST_F(DirectoryStoreTest, ANoteOfAHandOverIsThereUntilItIsOver) {
    EXPECT_EQ(*noted_hand_over(a_->store->file()), "");
    ASSERT_TRUE(a_->store->note_hand_over("b"));
    EXPECT_EQ(*noted_hand_over(a_->store->file()), "b");
    a_->start();  // leads again
    EXPECT_EQ(*noted_hand_over(a_->store->file()), "");
    ASSERT_TRUE(a_->store->note_hand_over("b"));
    a_->depose();
    EXPECT_EQ(*noted_hand_over(folder_.file("a") / "directory.db"), "");
}

TEST_F(DirectoryStoreTest, ADirectoryThatNeverFollowedIsNoReplicaForAnybody) {
    const auto file = folder_.file("a") / "directory.db";
    a_.reset();
    // The role master was taken from the node's file: what it led is not touched.
    const auto replica = *Replica::of_folder(folder_.file("a"));
    EXPECT_FALSE(replica->filled());
    const auto writer = *ReplicaWriter::open(replica, Scope::Backend);
    ASSERT_TRUE(writer->begin_copy({"i", 1, 1}));
    ASSERT_TRUE(writer->finish_copy());
    EXPECT_TRUE(std::filesystem::exists(file));
}

TEST_F(DirectoryStoreTest, ALoadThatWasBegunBeforeTheChangeWritesNothing) {
    const auto load = a_->store->bulk({});
    ASSERT_TRUE(load->add("account/z1", "{}"));
    ASSERT_TRUE(a_->store->stop_writes({ErrorKind::Unavailable, "", "changing"}, 1s));
    EXPECT_EQ(load->finish().error().detail, "changing");
    EXPECT_EQ(a_->store->bulk({})->finish().error().detail, "changing");
    a_->store->allow_writes();
    EXPECT_EQ((*load->finish()).written, 1U);
}

}  // namespace
}  // namespace muster::state
