// The queue's promises: what was acknowledged is there after every end, and what was done stays
// done.

#include "queue/spool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <thread>

#include "base/log.h"
#include "queue/derived_id.h"
#include "queue/keeper.h"
#include "queue/room.h"
#include "queue/spool_files.h"
#include "queue/spool_owner.h"
#include "unit/queue/folder.h"

namespace muster::queue {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

Envelope envelope_for(std::vector<std::string> recipients) {
    Envelope envelope;
    envelope.sender = "s@example.org";
    for (std::string& each : recipients) envelope.recipients.push_back({.address = each});
    return envelope;
}

std::string text_of(const std::shared_ptr<const Content>& content) {
    BodyReader reader(content);
    std::string text;
    for (;;) {
        const auto chunk = reader.next();
        EXPECT_TRUE(chunk);
        if (!chunk || chunk->empty()) return text;
        text += *chunk;
    }
}

Result<QueueId> commit(Spool& spool, Envelope envelope, std::shared_ptr<const Content> content,
                       After after = After::Due) {
    std::promise<Result<QueueId>> promise;
    spool.commit(std::move(envelope), std::move(content), after,
                 [&](Result<QueueId> result) { promise.set_value(std::move(result)); });
    return promise.get_future().get();
}

class SpoolTest : public ::testing::Test {
protected:
    SpoolTest() { log::configure(log::Level::Off, log::Format::Logfmt, "test"); }

    SpoolSettings settings(std::string name = "spool", std::string node = "mx1") {
        SpoolSettings settings;
        settings.folder = folder_ / name;
        settings.owner = {.node = NodeName(node), .generation = 1, .instance = "i"};
        settings.reserve = 0;
        settings.body_memory = 1000;
        return settings;
    }
    std::unique_ptr<Spool> open() { return open(settings()); }
    static std::unique_ptr<Spool> open(SpoolSettings settings) {
        auto spool = Spool::open(std::move(settings));
        EXPECT_TRUE(spool) << spool.error().detail;
        if (!spool) return nullptr;
        (*spool)->wait_loaded();
        return std::move(*spool);
    }
    static std::vector<QueueId> all_due(Spool& spool) {
        return spool.schedule().due(now() + 24h, 1000);
    }
    QueueId put(Spool& spool, const std::string& text = "hello", After after = After::Due) {
        const auto id = commit(spool, envelope_for({"a@example.net", "b@example.net"}),
                               Content::of(text), after);
        EXPECT_TRUE(id);
        return id.value_or(QueueId());
    }

    TestFolder folder_;
};

TEST(DerivedId, IsTheSameForTheSame) {
    QueueIds ids(NodeName("fe1"));
    const QueueId of = ids.next();
    const QueueId report = derived_id(of, "0f");
    EXPECT_TRUE(is_queue_id(report.view()));
    EXPECT_EQ(derived_id(of, "0f"), report);
    EXPECT_NE(derived_id(of, "1f"), report);
    EXPECT_NE(derived_id(ids.next(), "0f"), report);
    EXPECT_NE(report, of);
    EXPECT_EQ(time_of(report), time_of(of));
}

TEST_F(SpoolTest, WhatWasCommittedIsThereAfterARestart) {
    QueueId id;
    {
        const auto spool = open();
        id = put(*spool, "From: x\r\n\r\nhello\r\n");
        ASSERT_EQ(all_due(*spool), std::vector{id});
    }
    const auto spool = open();
    ASSERT_EQ(all_due(*spool), std::vector{id});
    const auto message = spool->read(id);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->envelope.sender, "s@example.org");
    EXPECT_EQ(message->envelope.recipients.size(), 2u);
    EXPECT_EQ(message->envelope.expires - message->envelope.arrived, 5 * 24h);
    EXPECT_EQ(text_of(message->content), "From: x\r\n\r\nhello\r\n");
    const LoadProgress progress = spool->loading();
    EXPECT_EQ(progress.known, 1u);
    EXPECT_EQ(progress.loaded, 1u);
    EXPECT_TRUE(progress.done);
}

TEST_F(SpoolTest, ASpilledTextBecomesTheFileAndMayBeReadMeanwhile) {
    std::string text;
    while (text.size() < 200'000) text += "0123456789\r\n";
    QueueId id;
    {
        const auto spool = open();
        Body body = spool->new_body();
        ASSERT_TRUE(body.append(text));
        auto content = body.finish();
        ASSERT_TRUE(content);
        EXPECT_EQ(files_below(spool->folder() + "/incoming"), 1u);
        auto first = commit(*spool, envelope_for({"a@example.net"}), *content);
        ASSERT_TRUE(first);
        EXPECT_EQ(files_below(spool->folder() + "/incoming"), 0u);
        EXPECT_EQ(text_of(*content), text);
        // A second message of the same text is a copy.
        const auto second = commit(*spool, envelope_for({"b@example.net"}), *content);
        ASSERT_TRUE(second);
        spool->remove(*first);
        spool->flush_writes();
        EXPECT_EQ(text_of(*content), text);
        id = *second;
        Body dropped = spool->new_body();
        ASSERT_TRUE(dropped.append(text));
    }
    const auto spool = open();
    ASSERT_EQ(all_due(*spool), std::vector{id});
    EXPECT_EQ(text_of(spool->read(id)->content), text);
}

TEST_F(SpoolTest, CutAnywhereAMessageIsAbsentOrWhole) {
    std::string file;
    QueueId id;
    {
        const auto spool = open();
        id = put(*spool, "hello world\r\n");
        ASSERT_EQ(all_due(*spool).size(), 1u);
        file = file_text(spool->folder() + "/active/" + id.text.substr(0, 6) + "/" + id.text);
        spool->record(id, {{.recipient = 1, .outcome = Outcome::Delivered, .status = "2.0.0"}});
        spool->settle(id, {{"mx:d", GroupResult::Kind::Deferred}});
    }
    const std::string path = (folder_ / "spool/active/") + id.text.substr(0, 6) + "/" + id.text;
    const std::string journalled = file_text(path);
    ASSERT_GT(journalled.size(), file.size());
    const std::size_t first_line = journalled.find('\n', file.size()) + 1;
    for (std::size_t length = 0; length <= journalled.size(); ++length) {
        fs::remove_all(folder_ / "spool/corrupt");
        put_file(path, std::string_view(journalled).substr(0, length));
        const auto spool = open();
        const auto message = spool->read(id);
        if (length < file.size()) {
            ASSERT_FALSE(message) << length;
            EXPECT_EQ(spool->schedule().counts().messages, 0u);
            EXPECT_EQ(files_below(spool->folder() + "/corrupt"), length == 0 ? 0u : 1u);
            EXPECT_EQ(files_below(spool->folder() + "/active"), 0u);
            continue;
        }
        ASSERT_TRUE(message) << length;
        EXPECT_EQ(text_of(message->content), "hello world\r\n");
        EXPECT_EQ(message->states[0].kind, RecipientState::Kind::Open);
        EXPECT_EQ(message->states[1].kind, length < first_line ? RecipientState::Kind::Open
                                                               : RecipientState::Kind::Delivered);
        EXPECT_EQ(spool->schedule().find(id)->open, length < first_line ? 2u : 1u);
        // What is added next does not stick to the torn line.
        spool->record(id, {{.recipient = 0, .outcome = Outcome::Failed, .status = "5.1.1"}});
        spool->flush_writes();
        EXPECT_EQ(spool->read(id)->states[0].kind, RecipientState::Kind::Failed);
    }
}

TEST_F(SpoolTest, TheFirstTryReadsNoFile) {
    const auto spool = open();
    const QueueId id = put(*spool, "hello\r\n");
    const std::string path = (folder_ / "spool/active/") + id.text.substr(0, 6) + "/" + id.text;
    fs::rename(path, path + ".away");
    const auto expect_the_message = [&] {
        ASSERT_EQ(all_due(*spool), std::vector{id});
        const auto message = spool->read(id);
        ASSERT_TRUE(message);
        EXPECT_EQ(message->envelope.sender, "s@example.org");
        EXPECT_EQ(message->envelope.recipients.size(), 2u);
        EXPECT_EQ(message->states.size(), 2u);
        EXPECT_EQ(text_of(message->content), "hello\r\n");
    };
    expect_the_message();
    // There was no room for it: nothing was tried.
    spool->pass_over(id, std::vector<GroupResult>{{"mx:d", GroupResult::Kind::Busy}});
    expect_the_message();
    // Left alone with its destination: that may last.
    spool->pass_over(id, std::vector<GroupResult>{{"mx:d", GroupResult::Kind::Held}});
    ASSERT_EQ(all_due(*spool).size(), 1u);
    EXPECT_EQ(spool->read(id).error().kind, ErrorKind::NotFound);
}

TEST_F(SpoolTest, WhatATryRecordedIsReadFromTheFile) {
    const auto spool = open();
    const QueueId recorded = put(*spool);
    const QueueId settled = put(*spool);
    const QueueId noticed = put(*spool);
    ASSERT_EQ(all_due(*spool).size(), 3u);
    spool->record(recorded, {{.recipient = 1, .outcome = Outcome::Delivered, .status = "2.0.0"}});
    spool->settle(settled, {{"mx:d", GroupResult::Kind::Deferred}});
    spool->record_delay_notice(noticed);
    spool->flush_writes();
    EXPECT_EQ(spool->read(recorded)->states[1].kind, RecipientState::Kind::Delivered);
    EXPECT_EQ(spool->read(settled)->tries, 1u);
    EXPECT_TRUE(spool->read(noticed)->delay_notice);
}

TEST_F(SpoolTest, WhatIsKeptForTheFirstTryIsBounded) {
    auto small = settings();
    small.recent_bytes = 4000;  // two messages' worth
    const auto spool = open(small);
    std::vector<QueueId> ids;
    for (int i = 0; i < 3; ++i) ids.push_back(put(*spool));
    const auto in_memory = [&](const QueueId& id) {
        const std::string path = (folder_ / "spool/active/") + id.text.substr(0, 6) + "/" + id.text;
        fs::rename(path, path + ".away");
        const auto message = spool->read(id);
        fs::rename(path + ".away", path);
        return message.has_value();
    };
    // First: a file that is not found takes its message out of the index.
    EXPECT_TRUE(in_memory(ids[0]));
    EXPECT_TRUE(spool->read(ids[2]));
    EXPECT_FALSE(in_memory(ids[2]));
    // Who goes makes room.
    spool->remove(ids[0]);
    EXPECT_TRUE(in_memory(put(*spool)));
}

TEST_F(SpoolTest, TheFirstToAskAtOnceAllFindRoom) {
    const auto files = SpoolFiles::open(folder_ / "spool");
    ASSERT_TRUE(files);
    std::atomic<int> refused = 0;
    for (int i = 0; i < 20; ++i) {
        Room room(*files, 0);
        std::latch start(4);
        std::vector<std::jthread> threads;
        for (int each = 0; each < 4; ++each) {
            threads.emplace_back([&] {
                start.arrive_and_wait();
                if (!room.check(1)) ++refused;
            });
        }
    }
    EXPECT_EQ(refused, 0);
}

TEST_F(SpoolTest, ASuspendedQueueTakesAndGivesNothing) {
    const auto spool = open();
    const QueueId id = put(*spool);
    spool->suspend("revoked");
    EXPECT_FALSE(spool->owned());
    EXPECT_EQ(spool->read(id).error().kind, ErrorKind::Unavailable);
    EXPECT_EQ(spool->accepts(1).error().kind, ErrorKind::Unavailable);
    EXPECT_EQ(commit(*spool, envelope_for({"a@b"}), Content::of("x")).error().kind,
              ErrorKind::Unavailable);
    spool->resume();
    EXPECT_TRUE(spool->owned());
    EXPECT_TRUE(spool->read(id));
}

TEST_F(SpoolTest, WhatIsPutBackIsDueThenAndNothingIsNoted) {
    const auto spool = open();
    const QueueId id = put(*spool);
    const std::string file = spool->folder() + "/active/" + id.text.substr(0, 6) + "/" + id.text;
    const std::string text = file_text(file);
    ASSERT_EQ(all_due(*spool), std::vector{id});
    const Time when = now() + 1min;
    spool->put_back(id, when);
    spool->flush_writes();
    EXPECT_EQ(spool->schedule().next_due(), when);
    EXPECT_EQ(file_text(file), text);
}

TEST_F(SpoolTest, AChangedMessageIsSetAside) {
    QueueId small;
    QueueId large;
    {
        const auto spool = open();
        small = put(*spool, "hello world\r\n");
        large = put(*spool, std::string(200'000, 'x'));
    }
    for (const QueueId& id : {small, large}) {
        const std::string path = (folder_ / "spool/active/") + id.text.substr(0, 6) + "/" + id.text;
        std::string file = file_text(path);
        file[file.find("-- message\n") + 14] ^= 1;
        put_file(path, file);
    }
    const auto spool = open();
    EXPECT_EQ(spool->loading().corrupt, 1u);
    const auto message = spool->read(large);
    ASSERT_FALSE(message);
    EXPECT_EQ(message.error().kind, ErrorKind::Corrupt);
    EXPECT_EQ(spool->schedule().counts().messages, 0u);
    EXPECT_EQ(files_below(spool->folder() + "/corrupt"), 2u);
}

TEST_F(SpoolTest, ResultsAndTriesAreRemembered) {
    QueueId id;
    {
        const auto spool = open();
        id = put(*spool);
        ASSERT_EQ(all_due(*spool).size(), 1u);
        spool->record(id, {{.recipient = 0,
                            .outcome = Outcome::Deferred,
                            .status = "4.4.1",
                            .text = "timed out"}});
        spool->record_delay_notice(id);
        spool->settle(id, {{"mx:d", GroupResult::Kind::Deferred}});
        spool->flush_writes();
        EXPECT_EQ(spool->schedule().find(id)->state, MessageState::Waiting);
        EXPECT_EQ(spool->schedule().find(id)->tries, 1u);
    }
    const auto spool = open();
    const auto found = spool->schedule().find(id);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->tries, 1u);
    EXPECT_TRUE(found->delay_notice);
    EXPECT_GT(found->next_try, now() + 30s);
    EXPECT_TRUE(spool->schedule().due(now(), 10).empty());
    EXPECT_EQ(spool->read(id)->states[0].last.text, "timed out");
}

TEST_F(SpoolTest, AnIntentIsRetriedForThoseWithoutAResult) {
    QueueId id;
    {
        const auto spool = open();
        Envelope envelope = envelope_for({"a@example.net", "b@example.net", "c@example.net"});
        for (Recipient& each : envelope.recipients) each.in_line = true;
        id = *commit(*spool, envelope, Content::of("text"), After::Taken);
        EXPECT_TRUE(all_due(*spool).empty());
        spool->record(id, {{.recipient = 1, .outcome = Outcome::Delivered, .status = "2.0.0"}});
    }
    const auto spool = open();
    ASSERT_EQ(all_due(*spool), std::vector{id});
    const auto message = spool->read(id);
    EXPECT_TRUE(message->envelope.recipients[0].in_line);
    EXPECT_EQ(message->states[0].kind, RecipientState::Kind::Open);
    EXPECT_EQ(message->states[1].kind, RecipientState::Kind::Delivered);
    EXPECT_EQ(spool->schedule().find(id)->open, 2u);
}

TEST_F(SpoolTest, RemovedIsGone) {
    {
        const auto spool = open();
        const QueueId id = put(*spool);
        spool->record(id, {{.recipient = 0, .outcome = Outcome::Delivered}});
        spool->remove(id);
        put(*spool);
        spool->flush_writes();
        EXPECT_EQ(spool->read(id).error().kind, ErrorKind::NotFound);
    }
    EXPECT_EQ(open()->schedule().counts().messages, 1u);
}

TEST_F(SpoolTest, HoldReleaseAndDiscardLast) {
    QueueId held;
    QueueId taken;
    QueueId given;
    {
        const auto spool = open();
        held = put(*spool);
        taken = put(*spool, "x", After::Taken);
        Envelope envelope = envelope_for({"h@example.net"});
        envelope.hold = true;
        given = *commit(*spool, envelope, Content::of("y"));
        const QueueId discarded = put(*spool);
        EXPECT_EQ(spool->hold(std::vector{held, taken, QueueId("nonsense")}), 1u);
        EXPECT_EQ(spool->discard(std::vector{discarded, taken}), 1u);
        EXPECT_TRUE(all_due(*spool).empty());
        spool->record(held,
                      {{.recipient = 0, .outcome = Outcome::Delivered}});  // found on its shelf
    }
    const auto spool = open();
    EXPECT_EQ(all_due(*spool), std::vector{taken});
    EXPECT_EQ(spool->schedule().counts().held, 2u);
    EXPECT_TRUE(spool->read(held)->envelope.hold);
    EXPECT_EQ(spool->read(held)->states[0].kind, RecipientState::Kind::Delivered);
    EXPECT_EQ(spool->release(std::vector{held, given, taken}), 2u);
    EXPECT_EQ(all_due(*spool).size(), 2u);
    EXPECT_FALSE(spool->read(given)->envelope.hold);
}

TEST_F(SpoolTest, ManyWritersShareSyncs) {
    constexpr int kWriters = 20;
    constexpr int kEach = 20;
    {
        const auto spool = open();
        std::vector<std::thread> writers;
        for (int i = 0; i < kWriters; ++i) {
            writers.emplace_back([&] {
                for (int k = 0; k < kEach; ++k) put(*spool);
            });
        }
        for (std::thread& each : writers) each.join();
        const Spool::Figures figures = spool->figures();
        EXPECT_EQ(figures.commits, kWriters * kEach);
        EXPECT_LT(figures.syncs, figures.commits);
    }
    EXPECT_EQ(open()->schedule().counts().messages, kWriters * kEach);
}

TEST_F(SpoolTest, CommitResumesOnItsLoop) {
    const auto spool = open();
    net::Loop loop;
    Result<QueueId> id = fail(ErrorKind::NotFound, "");
    struct Story {
        static Task<void> run(Spool& spool, net::Loop& loop, Result<QueueId>& id) {
            id = co_await spool.commit_on(loop, envelope_for({"a@example.net"}), Content::of("x"));
            loop.stop();
        }
    };
    loop.post([&] { loop.tasks().spawn(Story::run(*spool, loop, id)); });
    loop.run();
    ASSERT_TRUE(id);
    EXPECT_TRUE(spool->read(*id));
}

TEST_F(SpoolTest, RefusesWhatHasNoRoomOrSense) {
    SpoolSettings small = settings();
    small.most_messages = 1;
    small.most_bytes = 10;
    {
        const auto spool = open(small);
        EXPECT_EQ(commit(*spool, envelope_for({"a@b"}), Content::of("eleven bytes")).error().kind,
                  ErrorKind::Limit);
        EXPECT_EQ(commit(*spool, envelope_for({}), Content::of("x")).error().kind,
                  ErrorKind::Syntax);
        EXPECT_EQ(
            commit(*spool, envelope_for({std::string(5000, 'a')}), Content::of("x")).error().kind,
            ErrorKind::Limit);
        EXPECT_TRUE(commit(*spool, envelope_for({"a@b"}), Content::of("x")));
        EXPECT_EQ(spool->accepts(1).error().kind, ErrorKind::Limit);
        EXPECT_EQ(spool->figures().refused, 3u);
        Envelope report = envelope_for({"a@b"});
        report.kind = Kind::Dsn;
        EXPECT_TRUE(commit(*spool, report, Content::of("lets others leave the queue")));
    }
    SpoolSettings full = settings("other");
    full.reserve = std::uint64_t{1} << 60;
    const auto spool = open(full);
    EXPECT_EQ(spool->accepts(1).error().kind, ErrorKind::Limit);
    EXPECT_EQ(commit(*spool, envelope_for({"a@b"}), Content::of("x")).error().kind,
              ErrorKind::Limit);
    EXPECT_EQ(files_below(spool->folder() + "/active"), 0u);
    // A text of no declared size is asked about on its way.
    Body body = spool->new_body();
    EXPECT_EQ(body.append(std::string(100'000, 'x')).error().kind, ErrorKind::Limit);
}

TEST_F(SpoolTest, AFailedWriteLeavesNothing) {
    const auto spool = open();
    fs::remove_all(spool->folder() + "/active");
    put_file(spool->folder() + "/active", "not a folder");
    EXPECT_EQ(commit(*spool, envelope_for({"a@b"}), Content::of("x")).error().kind, ErrorKind::Io);
    Body body = spool->new_body();
    ASSERT_TRUE(body.append(std::string(100'000, 'x')));
    EXPECT_FALSE(commit(*spool, envelope_for({"a@b"}), *body.finish()));
    EXPECT_EQ(files_below(spool->folder() + "/incoming"), 0u);
    EXPECT_EQ(spool->schedule().counts().messages, 0u);
}

TEST_F(SpoolTest, OneProcessAndOneOwner) {
    const auto spool = open();
    EXPECT_EQ(Spool::open(settings()).error().kind, ErrorKind::Conflict);
    EXPECT_TRUE(spool->owned());
    const QueueId id = put(*spool);
    // Another node takes it over while this one sleeps.
    ASSERT_TRUE(write_owner(spool->folder(), {NodeName("mx2"), 1, "j"}));
    EXPECT_FALSE(spool->owned());
    EXPECT_EQ(spool->read(id).error().kind, ErrorKind::Unavailable);
    EXPECT_EQ(commit(*spool, envelope_for({"a@b"}), Content::of("x")).error().kind,
              ErrorKind::Unavailable);
    EXPECT_EQ(spool->accepts(1).error().kind, ErrorKind::Unavailable);
    EXPECT_EQ(files_below(spool->folder() + "/active"), 1u);
}

TEST_F(SpoolTest, AnotherOwnersQueueIsNotRun) {
    struct Row {
        Owner found;
        bool runs;
    };
    for (const auto& [found, runs] :
         {Row{{NodeName("mx1"), 1, "other"}, true}, Row{{NodeName("mx1"), 0, ""}, true},
          Row{{NodeName("mx1"), 2, ""}, false}, Row{{NodeName("mx2"), 1, ""}, false}}) {
        ASSERT_TRUE(parse_owner(render(found)));
        put_file(folder_ / "spool/OWNER", render(found));
        const auto spool = Spool::open(settings());
        EXPECT_EQ(spool.has_value(), runs) << found.node.text;
        if (!spool) EXPECT_EQ(spool.error().kind, ErrorKind::Refused);
    }
    put_file(folder_ / "spool/OWNER", "rubbish\n");
    EXPECT_EQ(Spool::open(settings()).error().kind, ErrorKind::Corrupt);
}

TEST(SyncPolicy, TakesWhatIsCheaper) {
    SyncPolicy policy;
    EXPECT_FALSE(policy.together(1));
    EXPECT_FALSE(policy.together(2));
    EXPECT_TRUE(policy.together(3));
    policy.took(true, 50, 1ms);
    policy.took(false, 1, 400us);
    EXPECT_FALSE(policy.together(2));
    EXPECT_TRUE(policy.together(3));
    for (int i = 0; i < 50; ++i) policy.took(true, 50, 100ms);  // somebody else writes much
    EXPECT_FALSE(policy.together(50));
    int until_tried = 0;
    while (!policy.together(50) && until_tried < 1000) ++until_tried;
    EXPECT_GT(until_tried, 20);
    EXPECT_LT(until_tried, 200);
}

}  // namespace
}  // namespace muster::queue
