// A dead node's queue is taken over whole, once, however often it is interrupted.

#include "queue/adoption.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <future>

#include "base/log.h"
#include "queue/spool.h"
#include "unit/queue/folder.h"

namespace muster::queue {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class AdoptionTest : public ::testing::Test {
protected:
    AdoptionTest() { log::configure(log::Level::Off, log::Format::Logfmt, "test"); }

    static SpoolSettings settings(const std::string& folder, const std::string& node) {
        SpoolSettings settings;
        settings.folder = folder;
        settings.owner = {.node = NodeName(node), .generation = 1, .instance = "i"};
        settings.reserve = 0;
        return settings;
    }
    static std::unique_ptr<Spool> open(const std::string& folder, const std::string& node) {
        auto spool = Spool::open(settings(folder, node));
        EXPECT_TRUE(spool) << spool.error().detail;
        if (!spool) return nullptr;
        (*spool)->wait_loaded();
        return std::move(*spool);
    }
    static QueueId put(Spool& spool, bool hold = false) {
        Envelope envelope;
        envelope.hold = hold;
        envelope.recipients = {{.address = "a@example.net"}, {.address = "b@example.net"}};
        std::promise<Result<QueueId>> promise;
        spool.commit(envelope, Content::of("text"), After::Taken,
                     [&](Result<QueueId> id) { promise.set_value(std::move(id)); });
        return promise.get_future().get().value_or(QueueId());
    }
    static std::string active(const std::string& folder, const QueueId& id) {
        return folder + "/active/" + id.text.substr(0, kBucketLength) + "/" + id.text;
    }
    /// Ten messages, one held, one partly delivered.
    std::vector<QueueId> fill(const std::string& folder) {
        const auto dead = open(folder, "dead");
        std::vector<QueueId> ids;
        for (int i = 0; i < 10; ++i) ids.push_back(put(*dead, i == 0));
        dead->record(ids[1], {{.recipient = 0, .outcome = Outcome::Delivered}});
        return ids;
    }
    static void expect_all(Spool& spool, const std::vector<QueueId>& ids) {
        EXPECT_EQ(spool.schedule().counts().messages, ids.size());
        for (const QueueId& id : ids) EXPECT_TRUE(spool.read(id)) << id.text;
        EXPECT_EQ(spool.schedule().find(ids[0])->state, MessageState::Held);
        EXPECT_EQ(spool.schedule().find(ids[1])->open, 1u);
        EXPECT_EQ(spool.schedule().due(now() + 1h, 100).size(), ids.size() - 1);
    }

    TestFolder folder_;
};

TEST_F(AdoptionTest, TakesAllAndTheDeadNodeRunsItNoMore) {
    const std::string dead = folder_ / "dead";
    const auto ids = fill(dead);
    const std::string torn = active(dead, QueueIds(NodeName("dead")).next());
    put_file(torn, file_text(active(dead, ids[2])).substr(0, 200));
    put_file(active(dead, QueueIds(NodeName("dead")).next()), "");
    put_file(dead + "/incoming/text-123456", "half a message");
    const auto heir = open(folder_ / "heir", "heir");
    std::uint64_t seen = 0;
    const auto report = heir->adopt(dead, [&](const AdoptReport& now) { seen = now.known; });
    ASSERT_TRUE(report) << report.error().detail;
    EXPECT_EQ(report->known, 12u);
    EXPECT_EQ(report->adopted, 10u);
    EXPECT_EQ(report->corrupt, 1u);
    EXPECT_EQ(report->removed, 2u);
    EXPECT_EQ(seen, 12u);
    expect_all(*heir, ids);
    EXPECT_EQ(files_below(dead + "/active") + files_below(dead + "/hold"), 0u);
    EXPECT_EQ(Spool::open(settings(dead, "dead")).error().kind, ErrorKind::Refused);
    const auto again = heir->adopt(dead);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->known, 0u);
    EXPECT_EQ(heir->adopt(folder_ / "nothing").error().kind, ErrorKind::NotFound);
    EXPECT_EQ(heir->adopt(heir->folder()).error().kind, ErrorKind::Conflict);
}

TEST_F(AdoptionTest, AnEarlierNodeOfTheSameNameRunsItNoMore) {
    const std::string old = folder_ / "old";
    fill(old);
    SpoolSettings mine = settings(folder_ / "new", "dead");
    mine.owner.generation = 2;
    mine.owner.instance = "later";
    auto heir = Spool::open(mine);
    ASSERT_TRUE(heir);
    ASSERT_TRUE((*heir)->adopt(old));
    // The machine that was given up comes back: with its own folder, and with the heir's.
    EXPECT_EQ(Spool::open(settings(old, "dead")).error().kind, ErrorKind::Refused);
    heir->reset();
    EXPECT_EQ(Spool::open(settings(folder_ / "new", "dead")).error().kind, ErrorKind::Refused);
    EXPECT_TRUE(Spool::open(mine));
}

TEST_F(AdoptionTest, AClockBehindMakesNoEarlierGeneration) {
    SpoolSettings former = settings(folder_ / "old", "dead");
    former.owner.generation = 100;
    Spool::open(former)->reset();
    SpoolSettings mine = settings(folder_ / "new", "dead");
    mine.owner.generation = 50;
    mine.owner.instance = "later";
    const auto heir = Spool::open(mine);
    ASSERT_TRUE(heir);
    for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE((*heir)->adopt(former.folder));
        EXPECT_TRUE(file_text(former.folder + "/OWNER").contains("generation 101\n"));
    }
    EXPECT_EQ(Spool::open(former).error().kind, ErrorKind::Refused);
    mine.folder = former.folder;
    EXPECT_TRUE(Spool::open(mine));
    EXPECT_TRUE(Spool::open(mine));
}

TEST_F(AdoptionTest, ALivingQueueIsNotTaken) {
    const auto alive = open(folder_ / "alive", "alive");
    const auto heir = open(folder_ / "heir", "heir");
    EXPECT_EQ(heir->adopt(alive->folder()).error().kind, ErrorKind::Conflict);
    EXPECT_TRUE(alive->owned());
}

TEST_F(AdoptionTest, InterruptedBetweenMovesItGoesOn) {
    const std::string dead = folder_ / "dead";
    const std::string heirs = folder_ / "heir";
    const auto ids = fill(dead);
    for (std::size_t moved = 0; moved <= ids.size(); ++moved) {
        const std::string from = dead + std::to_string(moved);
        const std::string to = heirs + std::to_string(moved);
        fs::copy(dead, from, fs::copy_options::recursive);
        open(to, "heir").reset();
        // What a process that died in between leaves.
        put_file(from + "/OWNER", render(Owner{NodeName("heir"), 1, "i"}));
        for (std::size_t i = 0; i < moved; ++i) {
            const std::string source =
                i == 0 ? from + "/hold/" + ids[0].text : active(from, ids[i]);
            const std::string target = i == 0 ? to + "/hold/" + ids[0].text : active(to, ids[i]);
            fs::create_directories(fs::path(target).parent_path());
            fs::rename(source, target);
        }
        const auto heir = open(to, "heir");
        EXPECT_EQ(heir->schedule().counts().messages, moved);
        const auto report = heir->adopt(from);
        ASSERT_TRUE(report);
        EXPECT_EQ(report->adopted, ids.size() - moved);
        expect_all(*heir, ids);
    }
}

class AdoptionFromElsewhere : public AdoptionTest {
protected:
    void SetUp() override {
        struct stat here{};
        struct stat there{};
        if (::stat("/dev/shm", &there) != 0 || ::stat(folder_.path().c_str(), &here) != 0 ||
            here.st_dev == there.st_dev || ::access("/dev/shm", W_OK) != 0) {
            GTEST_SKIP() << "no second file system";
        }
        elsewhere_ = std::make_unique<TestFolder>("/dev/shm");
    }
    std::unique_ptr<TestFolder> elsewhere_;
};

TEST_F(AdoptionFromElsewhere, CopiesThenRemoves) {
    const std::string dead = *elsewhere_ / "dead";
    const auto ids = fill(dead);
    {
        const auto heir = open(folder_ / "heir", "heir");
        const auto report = heir->adopt(dead);
        ASSERT_TRUE(report) << report.error().detail;
        EXPECT_EQ(report->adopted, 10u);
        expect_all(*heir, ids);
    }
    EXPECT_EQ(files_below(dead + "/active") + files_below(dead + "/hold"), 0u);
    expect_all(*open(folder_ / "heir", "heir"), ids);
}

TEST_F(AdoptionFromElsewhere, InterruptedAnywhereNothingIsLostOrTwice) {
    const std::string dead = *elsewhere_ / "dead";
    const auto ids = fill(dead);
    // Every step of every message: copied, original removed, made a message.
    for (std::size_t step = 0; step <= 3 * ids.size(); ++step) {
        const std::string from = dead + std::to_string(step);
        const std::string to = folder_ / ("heir" + std::to_string(step));
        fs::copy(dead, from, fs::copy_options::recursive);
        open(to, "heir").reset();
        put_file(from + "/OWNER", render(Owner{NodeName("heir"), 1, "i"}));
        put_file(to + "/adopting/SOURCE", from);
        for (std::size_t i = 0; i < step; ++i) {
            const QueueId& id = ids[i % ids.size()];
            const bool held = i % ids.size() == 0;
            const std::string source = held ? from + "/hold/" + id.text : active(from, id);
            const std::string copy = to + "/adopting/" + id.text + (held ? ".hold" : "");
            const std::string target = held ? to + "/hold/" + id.text : active(to, id);
            if (i < ids.size()) {
                fs::copy_file(source, copy);
                if (i + 1 == step) fs::resize_file(copy, 30);  // it was just being copied
            } else if (i < 2 * ids.size()) {
                fs::remove(source);
            } else {
                fs::create_directories(fs::path(target).parent_path());
                fs::rename(copy, target);
            }
        }
        const auto heir = open(to, "heir");
        const auto report = heir->adopt(from);
        ASSERT_TRUE(report) << report.error().detail;
        expect_all(*heir, ids);
        EXPECT_EQ(files_below(from + "/active") + files_below(from + "/hold"), 0u);
    }
}

TEST_F(AdoptionFromElsewhere, CopiesWhoseOriginCannotBeSeenAreKept) {
    const std::string dead = *elsewhere_ / "dead";
    const auto ids = fill(dead);
    const std::string to = folder_ / "heir";
    open(to, "heir").reset();
    put_file(to + "/adopting/SOURCE", dead);
    put_file(to + "/adopting/" + ids[3].text, file_text(active(dead, ids[3])));
    fs::remove(active(dead, ids[3]));
    fs::rename(dead, dead + "-away");
    EXPECT_EQ(open(to, "heir")->schedule().counts().messages, 0u);
    EXPECT_EQ(files_below(to + "/adopting"), 2u);
    fs::rename(dead + "-away", dead);
    EXPECT_EQ(open(to, "heir")->schedule().counts().messages, 1u);
}

}  // namespace
}  // namespace muster::queue
