#include "state/follower.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <thread>

#include "state/sqlite_store.h"
#include "state/store_reader.h"
#include "unit/state/fake_source.h"
#include "unit/state/temporary_folder.h"

namespace muster::state {
namespace {

using Keys = std::vector<std::string>;

/// A master's store, a wire, and a replica that can be "restarted" at any time.
class FollowerTest : public testing::Test {
protected:
    void SetUp() override {
        std::filesystem::create_directory(folder_.file("replica"));
        open_store();
        for (int i = 0; i < 30; ++i) put("account/a" + std::to_string(100 + i), R"({"n":1})");
        put("server/sv1", "{}");
        put("key/k1", "{}");
        start();
    }
    void open_store(SqliteStoreOptions options = {}) {
        store_.reset();
        store_ = *SqliteStore::open(folder_.file("directory.db"), options);
        wire_->store = store_.get();
    }
    Revision put(const std::string& key, const std::string& value) {
        return *store_->commit(Transaction().put(key, value));
    }
    void remove(const std::string& key) { (void)store_->commit(Transaction().remove(key)); }

    /// As a process does when it starts.
    void start(Scope scope = Scope::Relay) {
        writer_.reset();
        replica_.reset();
        auto replica = Replica::of_folder(folder_.file("replica"));
        ASSERT_TRUE(replica) << replica.error().detail;
        replica_ = *replica;
        auto writer = ReplicaWriter::open(replica_, scope);
        ASSERT_TRUE(writer) << writer.error().detail;
        writer_ = std::move(*writer);
        scope_ = scope;
        wire_->scope = scope;
    }
    /// One session, until the source has nothing more or fails.
    Error sync() {
        FakeSource source(wire_);
        FollowerSession session(*replica_, *writer_, source, {scope_, 10}, {},
                                [this](const auto& change) { change(status_); });
        const Error error = session.run();
        progressed_ = session.progressed();
        return error;
    }
    void expect_in_step() {
        ReplicaReader reader(replica_);
        const auto ours = reader.range("", "", 100'000);
        const auto theirs = store_->page("", "", 100'000, scope_);
        ASSERT_TRUE(ours) << ours.error().detail;
        ASSERT_TRUE(theirs);
        EXPECT_EQ(*ours, theirs->entries);
        EXPECT_EQ(writer_->position().cursor, store_->head());
        EXPECT_EQ(writer_->position().stage, ReplicaPosition::Stage::Following);
    }
    std::size_t requests(const std::string& path) const {
        std::size_t count = 0;
        for (const auto& target : wire_->targets) count += target.starts_with(path) ? 1U : 0U;
        return count;
    }

    TemporaryFolder folder_;
    std::shared_ptr<Wire> wire_ = std::make_shared<Wire>();
    std::unique_ptr<SqliteStore> store_;
    std::shared_ptr<Replica> replica_;
    std::unique_ptr<ReplicaWriter> writer_;
    FollowerStatus status_;
    Scope scope_ = Scope::Relay;
    bool progressed_ = false;
};

TEST_F(FollowerTest, AFirstCopyThenTheChanges) {
    EXPECT_FALSE(replica_->filled());
    ReplicaReader reader(replica_);
    EXPECT_EQ(reader.find("server/sv1").error().kind, ErrorKind::Unavailable);
    EXPECT_EQ(sync().public_text, "the source ended its stream");
    expect_in_step();
    EXPECT_TRUE(progressed_);
    EXPECT_EQ(status_.phase, FollowerPhase::Following);
    EXPECT_TRUE(replica_->age().has_value());

    put("account/new@domain1.dom", "{}");
    remove("account/a100");
    sync();
    expect_in_step();
    const auto row = reader.find("account/new@domain1.dom");
    ASSERT_TRUE(row && *row);
    EXPECT_EQ((*row)->value, "{}");
    EXPECT_FALSE(*reader.find("account/a100"));
    EXPECT_FALSE(*reader.find("key/k1"));  // never sent to a relay
}

TEST_F(FollowerTest, ARestartedNodeServesWithoutItsMaster) {
    sync();
    start();
    wire_->store = nullptr;
    EXPECT_TRUE(replica_->filled());
    EXPECT_TRUE(*ReplicaReader(replica_).find("server/sv1"));
    EXPECT_FALSE(replica_->age());
    EXPECT_EQ(sync().kind, ErrorKind::Unavailable);
    wire_->store = store_.get();
    put("node/n1", "{}");
    wire_->targets.clear();
    sync();
    expect_in_step();
    EXPECT_EQ(wire_->targets.size(), 1U);  // the stream alone
}

TEST_F(FollowerTest, ACopyIsConsistentAlthoughItsSourceChanges) {
    int writes = 0;
    wire_->on_request = [&](const std::string& target) {
        if (!target.starts_with("/v1/copy")) return;
        ++writes;
        put("account/a101", std::to_string(writes));         // in a page that was sent already
        put("account/a0" + std::to_string(writes), "{}");    // before everything
        put("account/z" + std::to_string(writes), "{}");     // in a page to come
        remove("account/a" + std::to_string(110 + writes));  // here or there
        remove("account/a" + std::to_string(130 - writes));
    };
    sync();
    EXPECT_GE(writes, 3);
    expect_in_step();
}

TEST_F(FollowerTest, ACopyIsConsistentUnderAWritingThread) {
    std::atomic<bool> over = false;
    {
        const std::jthread writing([&] {
            for (int i = 0; i < 300 && !over; ++i) {
                const auto key = "account/a" + std::to_string(100 + (i * 7) % 40);
                if (i % 3 == 0) {
                    remove(key);
                } else {
                    put(key, std::to_string(i));
                }
            }
        });
        for (int i = 0; i < 3; ++i) sync();
        over = true;
    }
    sync();
    expect_in_step();
}

TEST_F(FollowerTest, AnInterruptedCopyGoesOnWhereItStopped) {
    int pages = 0;
    wire_->on_request = [&](const std::string&) {
        if (++pages == 3) wire_->budget = 50;
    };
    sync();
    EXPECT_FALSE(replica_->filled());
    EXPECT_EQ(writer_->position().stage, ReplicaPosition::Stage::Copying);
    put("account/a105", R"({"n":2})");  // in what was copied already
    start();
    EXPECT_EQ(writer_->position().stage, ReplicaPosition::Stage::Copying);
    EXPECT_EQ(writer_->position().next, "account/a120");
    wire_->budget = 50;
    status_ = {};
    sync();
    EXPECT_EQ(status_.entries, 20U);  // what was copied by then, although the process is another
    wire_->budget = std::numeric_limits<std::size_t>::max();
    wire_->targets.clear();
    sync();
    expect_in_step();
    EXPECT_EQ(wire_->targets.front(), "/v1/copy?from=account%2Fa120&limit=10");
}

TEST_F(FollowerTest, ACutAtAnyByteLosesNothing) {
    put("account/long", '"' + std::string(200, 'x') + '"');
    sync();
    const std::size_t whole = wire_->sent + 3000;
    for (std::size_t cut = 0; cut < whole; cut += 211) {
        std::filesystem::remove_all(folder_.file("replica"));
        std::filesystem::create_directory(folder_.file("replica"));
        start();
        wire_->budget = cut;
        wire_->chunk = 13 + cut % 50;
        sync();
        put("account/a" + std::to_string(100 + cut % 40), std::to_string(cut));
        remove("account/a" + std::to_string(100 + cut % 37));
        start();
        wire_->budget = std::numeric_limits<std::size_t>::max();
        sync();
        expect_in_step();
        if (HasFailure()) FAIL() << "cut after " << cut << " bytes";
    }
}

TEST_F(FollowerTest, ATrimmedLogIsRepairedByDifference) {
    open_store({.log_limit = 5});
    sync();
    for (int i = 0; i < 10; ++i) put("account/a10" + std::to_string(i), R"({"n":2})");
    remove("account/a129");
    remove("server/sv1");
    wire_->targets.clear();
    sync();
    expect_in_step();
    EXPECT_EQ(requests("/v1/digests"), 1U);
}

TEST_F(FollowerTest, ARepairFetchesOnlyWhatDiffers) {
    auto load = store_->bulk({});
    for (int i = 0; i < 5000; ++i) {
        ASSERT_TRUE(load->add("account/b" + std::to_string(10'000 + i), R"({"home":"sv1"})"));
    }
    ASSERT_TRUE(load->finish());
    sync();
    expect_in_step();
    ASSERT_TRUE(store_->renew_incarnation());
    put("account/b12345", "{}");
    wire_->targets.clear();
    wire_->sent = 0;
    sync();
    expect_in_step();
    EXPECT_LT(wire_->sent, 100'000U);  // of about 300,000: one range of a thousand, no more
}

TEST_F(FollowerTest, AnInterruptedRepairGoesOn) {
    open_store({.log_limit = 5});
    sync();
    for (int i = 0; i < 30; ++i) put("account/a" + std::to_string(100 + i), R"({"n":3})");
    for (std::size_t cut = 0; cut < 6000; cut += 301) {
        wire_->budget = cut;
        sync();
        start();
        EXPECT_TRUE(replica_->filled());
        EXPECT_TRUE(*ReplicaReader(replica_).find("server/sv1"));  // serves all the while
        put("account/a" + std::to_string(100 + cut % 30), std::to_string(cut));
    }
    wire_->budget = std::numeric_limits<std::size_t>::max();
    sync();
    expect_in_step();
}

TEST_F(FollowerTest, ADeposedMastersChangesAreRepaired) {
    sync();
    // A stand-in has everything so far; the old master goes on alone, then the stand-in leads.
    ASSERT_TRUE(store_->backup_to(folder_.file("standin.db")));
    put("account/a100", R"({"lost":1})");
    put("account/lost", "{}");
    sync();
    expect_in_step();
    auto standin = *SqliteStore::open(folder_.file("standin.db"));
    ASSERT_TRUE(standin->begin_mastership());
    ASSERT_TRUE(standin->commit(Transaction().put("account/a100", R"({"kept":1})")));
    std::swap(store_, standin);
    wire_->store = store_.get();
    sync();
    expect_in_step();
    EXPECT_FALSE(*ReplicaReader(replica_).find("account/lost"));

    // The deposed master comes back as a source: it is behind, and never followed back.
    wire_->store = standin.get();
    const Cursor before = writer_->position().cursor;
    EXPECT_EQ(sync().public_text, "the source is behind this replica");
    EXPECT_EQ(writer_->position().cursor, before);
    EXPECT_TRUE(*ReplicaReader(replica_).find("account/a100"));
}

TEST_F(FollowerTest, ACopyFromADeposedMasterIsSettledBeforeItIsTrusted) {
    wire_->on_request = [&](const std::string& target) {
        if (target.starts_with("/v1/changes")) wire_->budget = 0;
        if (!target.contains("from=server")) return;
        // The stand-in shares the start of the copy, but not what its last page will show.
        ASSERT_TRUE(store_->backup_to(folder_.file("standin.db")));
        put("server/sv1", R"({"lost":1})");
    };
    sync();  // a whole copy, newer than its start, and no stream
    EXPECT_EQ((*ReplicaReader(replica_).find("server/sv1"))->value, R"({"lost":1})");
    wire_->on_request = [](const std::string&) {};
    wire_->budget = std::numeric_limits<std::size_t>::max();
    auto standin = *SqliteStore::open(folder_.file("standin.db"));
    ASSERT_TRUE(standin->begin_mastership());
    ASSERT_TRUE(standin->commit(Transaction().put("node/n", "{}")));
    std::swap(store_, standin);
    wire_->store = store_.get();
    start();
    sync();
    expect_in_step();
    EXPECT_EQ((*ReplicaReader(replica_).find("server/sv1"))->value, "{}");
}

TEST_F(FollowerTest, ACopyIsNotContinuedFromASourceThatIsBehind) {
    ASSERT_TRUE(store_->backup_to(folder_.file("standin.db")));
    put("account/a100", R"({"n":2})");
    wire_->on_request = [&](const std::string& target) {
        if (target.contains("from=account")) wire_->budget = 0;
    };
    sync();
    wire_->on_request = [](const std::string&) {};
    wire_->budget = std::numeric_limits<std::size_t>::max();
    const auto standin = *SqliteStore::open(folder_.file("standin.db"));
    wire_->store = standin.get();
    EXPECT_EQ(sync().public_text, "the source is behind this replica");
    EXPECT_EQ(writer_->position().stage, ReplicaPosition::Stage::Copying);
    wire_->store = store_.get();
    sync();
    expect_in_step();
}

TEST_F(FollowerTest, RevisionsNeverGoBack) {
    sync();
    Cursor cursor = store_->head();
    cursor.revision += 100;
    const Revision newer = cursor.revision;
    ASSERT_TRUE(writer_->apply({{"server/sv1", "2", newer}}, cursor));
    ASSERT_TRUE(writer_->apply({{"server/sv1", "1", newer - 1}}, cursor));
    ASSERT_TRUE(writer_->apply({{"server/sv1", std::nullopt, newer - 1}}, cursor));
    ReplicaReader reader(replica_);
    EXPECT_EQ((*reader.find("server/sv1"))->value, "2");
    ASSERT_TRUE(writer_->apply({{"server/sv1", std::nullopt, newer}}, cursor));
    EXPECT_FALSE(*reader.find("server/sv1"));
}

TEST_F(FollowerTest, ARestoredStoreIsRepairedByDifference) {
    ASSERT_TRUE(store_->backup_to(folder_.file("backup.db")));
    put("account/later", "{}");
    sync();
    auto restored = *SqliteStore::open(folder_.file("backup.db"));
    ASSERT_TRUE(restored->renew_incarnation());
    std::swap(store_, restored);
    wire_->store = store_.get();
    sync();
    expect_in_step();
}

TEST_F(FollowerTest, AnEmptySourceDoesNotEmptyTheReplica) {
    sync();
    const auto other = *SqliteStore::open(folder_.file("other.db"));
    wire_->store = other.get();
    EXPECT_EQ(sync().kind, ErrorKind::Refused);
    EXPECT_TRUE(*ReplicaReader(replica_).find("server/sv1"));
}

TEST_F(FollowerTest, MoreScopeIsFetchedAndLessIsForgotten) {
    sync();
    start(Scope::Backend);
    sync();
    expect_in_step();
    EXPECT_TRUE(*ReplicaReader(replica_).find("key/k1"));
    const auto file = replica_->file();
    start(Scope::Relay);
    sync();
    expect_in_step();
    EXPECT_FALSE(*ReplicaReader(replica_).find("key/k1"));
    EXPECT_NE(replica_->file(), file);  // nothing is left in the free pages of the old file
    EXPECT_FALSE(std::filesystem::exists(file));
}

TEST_F(FollowerTest, ASourceThatSendsTooMuchIsRefused) {
    sync();
    wire_->scope = Scope::Backend;
    put("key/k2", "{}");
    EXPECT_EQ(sync().kind, ErrorKind::Syntax);
    std::filesystem::remove_all(folder_.file("replica"));
    std::filesystem::create_directory(folder_.file("replica"));
    start();
    wire_->scope = Scope::Backend;
    EXPECT_EQ(sync().kind, ErrorKind::Syntax);
    EXPECT_FALSE(replica_->filled());
}

TEST_F(FollowerTest, AStandInTellsAMirrorNoNamesOfWhatItNeverSaw) {
    start(Scope::All);
    put("domain/far.dom", R"({"kind":"remote"})");
    sync();
    put("domain/far.dom", R"({"kind":"remote","tls":"none"})");
    sync();  // from here on it keeps a log
    const Cursor begin = writer_->position().cursor;
    put("domain/here.dom", R"({"kind":"shared"})");
    put("domain/far.dom", R"({"kind":"shared"})");
    sync();
    remove("domain/here.dom");
    put("domain/far.dom", R"({"kind":"local"})");
    sync();
    const auto told = (*StoreReader::open(replica_->file()))->changes(begin, 1000, Scope::Mirror);
    ASSERT_TRUE(told) << told.error().detail;
    EXPECT_EQ(told->standing, Standing::Shared);
    ASSERT_EQ(told->changes.size(), 1U);
    EXPECT_EQ(told->changes[0].key, "domain/far.dom");
    EXPECT_FALSE(told->changes[0].value);
}

TEST_F(FollowerTest, FamiliesOfALaterVersionAreKept) {
    put("later/x", "{}");
    start(Scope::Backend);
    wire_->scope = Scope::All;  // of a master that knows the family
    sync();
    EXPECT_TRUE(*ReplicaReader(replica_).find("later/x"));
    put("later/y", "{}");
    sync();
    EXPECT_TRUE(*ReplicaReader(replica_).find("later/y"));
    put("token/t", "{}");
    EXPECT_EQ(sync().kind, ErrorKind::Syntax);
}

TEST_F(FollowerTest, NonsenseChangesNothing) {
    sync();
    const Cursor before = writer_->position().cursor;
    for (const char* nonsense : {"x\n", "{\"key\":\"node/x\",\"value\":1,\"revision\":999}\nx\n",
                                 "{\"cursor\":\"0.1.5\",\"time\":1}\n", "{\"next\":\"x\"}\n",
                                 "{\"digest\":\"00\",\"count\":1,\"to\":\"x\"}\n"}) {
        wire_->bend = [&](const std::string&) { return std::string(nonsense); };
        EXPECT_EQ(sync().kind, ErrorKind::Syntax) << nonsense;
        EXPECT_EQ(writer_->position().cursor, before);
    }
    wire_->bend = [](std::string body) { return body; };
    sync();
    expect_in_step();
    EXPECT_FALSE(*ReplicaReader(replica_).find("node/x"));
}

TEST_F(FollowerTest, AFlippingSourceIsLeftForTheBackOff) {
    sync();
    wire_->bend = [](const std::string& body) {
        return body.starts_with("{\"terms") ? std::string("{\"error\":\"diverged\"}\n") : body;
    };
    EXPECT_EQ(sync().public_text, "the source keeps changing its history");
}

TEST_F(FollowerTest, AReplicaCutOffWhileItServesIsFetchedAnew) {
    auto load = store_->bulk({});
    for (int i = 0; i < 3000; ++i) {
        ASSERT_TRUE(load->add("domain/d" + std::to_string(10'000 + i), R"({"kind":"shared"})"));
    }
    ASSERT_TRUE(load->finish());
    sync();
    ReplicaReader reader(replica_);
    ASSERT_TRUE(*reader.find("domain/d10000"));
    const auto file = replica_->file();
    writer_.reset();  // its pages are in the file, its log is gone
    std::filesystem::resize_file(file, 8192);
    const auto row = reader.find("domain/d12999");
    ASSERT_FALSE(row);
    EXPECT_EQ(row.error().kind, ErrorKind::Corrupt);
    EXPECT_TRUE(replica_->damaged());
    EXPECT_FALSE(reader.range("domain/", "", 5000));
    start();
    sync();
    expect_in_step();
}

TEST_F(FollowerTest, ADamagedReplicaIsFetchedAnewWhileItServes) {
    auto load = store_->bulk({});
    for (int i = 0; i < 3000; ++i) {
        ASSERT_TRUE(load->add("domain/d" + std::to_string(10'000 + i), R"({"kind":"shared"})"));
    }
    ASSERT_TRUE(load->finish());
    sync();
    const auto file = replica_->file();
    writer_.reset();
    replica_.reset();
    {
        std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
        const auto size = std::filesystem::file_size(file);
        const std::string garbage(size / 2, '\x5A');
        bytes.seekp(static_cast<std::streamoff>(size / 4));
        bytes.write(garbage.data(), static_cast<std::streamsize>(garbage.size()));
    }
    start();
    EXPECT_TRUE(replica_->filled());
    ReplicaReader reader(replica_);
    std::size_t broken = 0;
    for (int i = 0; i < 3000; i += 100) {
        const auto row = reader.find("domain/d" + std::to_string(10'000 + i));
        if (!row) {
            EXPECT_EQ(row.error().kind, ErrorKind::Corrupt);
            ++broken;
        }
    }
    EXPECT_GT(broken, 0U);
    EXPECT_TRUE(replica_->damaged());
    sync();
    expect_in_step();
    EXPECT_FALSE(replica_->damaged());
    EXPECT_TRUE(*reader.find("domain/d11500"));  // the same reader moved to the new file
    EXPECT_FALSE(std::filesystem::exists(file));
}

TEST_F(FollowerTest, AReplicaFileIsNoStore) {
    sync();
    const auto opened = SqliteStore::open(replica_->file());
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, ErrorKind::Refused);
}

TEST_F(FollowerTest, AUselessReplicaFileIsReplaced) {
    sync();
    const auto file = replica_->file();
    writer_.reset();
    replica_.reset();
    for (const std::string& content :
         {std::string(), std::string("no database at all\n"), std::string(20'000, 'x')}) {
        std::filesystem::remove_all(folder_.file("replica"));
        std::filesystem::create_directory(folder_.file("replica"));
        std::ofstream(file) << content;
        start();
        EXPECT_FALSE(replica_->filled());
        sync();
        expect_in_step();
    }
}

TEST_F(FollowerTest, TheLogStaysBoundedWhileReadersRead) {
    sync();
    ReplicaReader reader(replica_);
    for (int i = 0; i < 400; ++i) {
        Transaction transaction;
        for (int j = 0; j < 100; ++j) {
            transaction.put("account/a" + std::to_string((i * 7919 + j * 104729) % 5000),
                            '"' + std::string(100, 'v') + '"');
        }
        ASSERT_TRUE(store_->commit(transaction));
        if (i % 20 == 19) sync();
        ASSERT_TRUE(reader.find("account/a1"));
        ASSERT_TRUE(reader.range("account/", "", 20));
    }
    expect_in_step();
    EXPECT_LT(std::filesystem::file_size(replica_->file().string() + "-wal"), 20'000'000U);
}

TEST_F(FollowerTest, SlowFirstCopyPinsNoWriteAheadLogOfTheMaster) {
    for (int i = 0; i < 2'000; ++i) put("account/n" + std::to_string(10'000 + i), R"({"n":1})");
    const std::string large = '"' + std::string(20'000, 'x') + '"';
    const auto log = folder_.file("directory.db-wal");
    std::uintmax_t largest = 0;
    std::size_t written = 0;
    wire_->on_request = [&](const std::string& target) {
        if (!target.starts_with("/v1/copy")) return;
        Transaction changes;  // between two pages the master goes on
        for (int i = 0; i < 10; ++i) {
            changes.put("server/s" + std::to_string(i), large);
            written += large.size();
        }
        ASSERT_TRUE(store_->commit(changes));
        largest = std::max(largest, std::filesystem::file_size(log));
    };
    start();
    sync();
    wire_->on_request = [](const std::string&) {};
    ASSERT_GT(requests("/v1/copy"), 200U);
    ASSERT_GT(written, 40'000'000U);
    EXPECT_LT(largest, 10'000'000U);  // SQLite checkpoints each 1000 pages of 4 KiB
    expect_in_step();
}

TEST_F(FollowerTest, WatchesHearOfChangesAndCopies) {
    Keys heard;
    bool everything = false;
    const Watch watch = replica_->watch([&](const Changed& changed) {
        for (const auto& key : changed.keys) heard.push_back(key);
        everything = everything || changed.everything;
    });
    sync();
    EXPECT_TRUE(everything);
    const auto version = replica_->version();
    put("server/sv2", "{}");
    put("key/k9", "{}");
    sync();
    EXPECT_EQ(heard, Keys{"server/sv2"});
    EXPECT_GT(replica_->version(), version);
}

TEST_F(FollowerTest, TheLoopGoesOnToTheNextSourceAndBacksOff) {
    writer_.reset();
    auto dead = std::make_shared<Wire>();
    const auto sources = sources_of({{"dead", dead}, {"good", wire_}});
    std::stop_source stop;
    std::vector<std::chrono::milliseconds> pauses;
    FollowerOptions options;
    options.pause = [&](const std::stop_token&, std::chrono::milliseconds time) {
        pauses.push_back(time);
        if (pauses.size() == 2) wire_->store = nullptr;
        if (pauses.size() == 6) stop.request_stop();
    };
    Follower follower(replica_, sources, options);
    wire_->idle = [&] {
        const auto status = follower.status();
        EXPECT_EQ(status.phase, FollowerPhase::Following);
        EXPECT_EQ(status.source, "good");
        EXPECT_EQ(status.cursor, store_->head());
        EXPECT_TRUE(status.trouble.empty());
        EXPECT_TRUE(status.lag && status.silence);
        return false;
    };
    follower.run(stop.get_token());
    using std::chrono::milliseconds;
    EXPECT_EQ(pauses, (std::vector{milliseconds{200}, milliseconds{200}, milliseconds{200},
                                   milliseconds{400}, milliseconds{800}, milliseconds{1600}}));
    EXPECT_EQ(follower.status().phase, FollowerPhase::Waiting);
    EXPECT_EQ(follower.status().trouble, "connection refused");
}

TEST_F(FollowerTest, ItGoesBackToAnEarlierSourceWithoutHavingLostTheLaterOne) {
    writer_.reset();
    auto first = std::make_shared<Wire>();
    first->scope = Scope::Relay;
    std::stop_source stop;
    FollowerOptions options;
    options.look_interval = std::chrono::milliseconds(1);
    std::vector<std::string> sources_used;
    std::atomic<int> asked = 0;
    first->on_request = [&](const std::string&) {
        // In vain at first: nothing answers there.
        if (++asked == 3) first->store = store_.get();
    };
    Follower follower(replica_, sources_of({{"first", first}, {"second", wire_}}), options);
    const auto note = [&] {
        const std::string source = follower.status().source;
        if (sources_used.empty() || sources_used.back() != source) sources_used.push_back(source);
        return true;
    };
    wire_->idle = note;
    first->idle = [&] {
        note();
        if (follower.status().source == "first") stop.request_stop();
        return true;
    };
    follower.run(stop.get_token());
    EXPECT_EQ(sources_used, (std::vector<std::string>{"second", "first"}));
    EXPECT_EQ(wire_->targets.back().substr(0, 11), "/v1/changes");
    EXPECT_EQ(requests("/v1/changes"), 1U);  // one stream, which was left for the first source
    EXPECT_EQ(follower.status().trouble, "");
}

TEST_F(FollowerTest, ItDoesNotGoBackToASourceThatIsBehind) {
    ASSERT_TRUE(store_->backup_to(folder_.file("old.db")));
    put("account/new", "{}");
    sync();
    writer_.reset();
    const auto old = *SqliteStore::open(folder_.file("old.db"));
    ASSERT_TRUE(old->begin_term());
    auto first = std::make_shared<Wire>();
    first->store = old.get();
    std::stop_source stop;
    FollowerOptions options;
    options.look_interval = std::chrono::milliseconds(1);
    std::atomic<int> asked = 0;
    first->on_request = [&](const std::string&) { ++asked; };
    Follower follower(replica_, sources_of({{"first", first}, {"second", wire_}}), options);
    wire_->idle = [&] {
        EXPECT_EQ(follower.status().source, "second");
        if (asked >= 5) stop.request_stop();
        return true;
    };
    follower.run(stop.get_token());
    EXPECT_GE(asked, 5);
    EXPECT_TRUE(*ReplicaReader(replica_).find("account/new"));
}

TEST_F(FollowerTest, AMasterThatWasSetBackIsSaidAndNotFollowed) {
    ASSERT_TRUE(store_->begin_term());
    ASSERT_TRUE(store_->backup_to(folder_.file("image.db")));
    put("account/one", "{}");
    ASSERT_TRUE(store_->begin_term());
    put("account/two", "{}");
    sync();
    const Cursor taken = writer_->position().cursor;
    auto restored = *SqliteStore::open(folder_.file("image.db"));
    ASSERT_TRUE(restored->begin_term());
    wire_->store = restored.get();
    EXPECT_EQ(sync().kind, ErrorKind::Diverged);
    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(restored->commit(Transaction().put("account/other", std::to_string(i))));
    }
    EXPECT_EQ(sync().kind, ErrorKind::Diverged);
    EXPECT_EQ(writer_->position().cursor, taken);
    EXPECT_TRUE(*ReplicaReader(replica_).find("account/two"));
    EXPECT_FALSE(*ReplicaReader(replica_).find("account/other"));

    // The operator accepts the loss: history begins anew there, and is followed.
    ASSERT_TRUE(restored->renew_incarnation());
    std::swap(store_, restored);
    sync();
    expect_in_step();
    EXPECT_FALSE(*ReplicaReader(replica_).find("account/two"));
}

TEST_F(FollowerTest, SourcesThatFollowEachOtherAreNoNews) {
    replica_->heard(std::chrono::milliseconds{5'000});
    const auto age = replica_->age();
    ASSERT_TRUE(age);
    replica_->heard(std::chrono::milliseconds{5'000});
    EXPECT_EQ(replica_->as_of().count(), 5'000);
    EXPECT_GE(*replica_->age(), *age);
}

TEST_F(FollowerTest, WithAnIntervalItComesBackInsteadOfStaying) {
    writer_.reset();
    std::vector<std::chrono::milliseconds> pauses;
    std::stop_source stop;
    FollowerOptions options;
    options.update_interval = std::chrono::minutes(5);
    options.pause = [&](const std::stop_token&, std::chrono::milliseconds time) {
        pauses.push_back(time);
        if (pauses.size() == 2) wire_->store = nullptr;
        if (pauses.size() == 3) wire_->store = store_.get();
        if (pauses.size() == 5) stop.request_stop();
        put("account/visit" + std::to_string(pauses.size()), "{}");
    };
    // A stream that were left open would go on for ever here.
    wire_->idle = [] { return true; };
    const auto sources = sources_of({{"good", wire_}});
    Follower follower(replica_, sources, options);
    follower.run(stop.get_token());
    using namespace std::chrono_literals;
    const std::vector<std::chrono::milliseconds> expected{5min, 5min, options.first_pause, 5min,
                                                          5min};
    EXPECT_EQ(pauses, expected);
    EXPECT_EQ(follower.status().phase, FollowerPhase::Following);
    EXPECT_EQ(follower.status().trouble, "");
    EXPECT_TRUE(*ReplicaReader(replica_).find("account/visit4"));
}

TEST_F(FollowerTest, AStopEndsARunningStream) {
    writer_.reset();
    const auto sources = sources_of({{"good", wire_}});
    std::stop_source stop;
    Follower follower(replica_, sources, {});
    int idles = 0;
    wire_->idle = [&] {
        if (++idles == 3) stop.request_stop();
        return true;
    };
    follower.run(stop.get_token());
    EXPECT_EQ(idles, 3);
    EXPECT_TRUE(replica_->filled());
}

TEST_F(FollowerTest, AFullDiskIsSaidAndSurvived) {
    sync();
    put("account/large", '"' + std::string(200'000, 'x') + '"');
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    rlimit small = before;
    small.rlim_cur = 100'000;
    setrlimit(RLIMIT_FSIZE, &small);
    const Cursor cursor = writer_->position().cursor;
    const Error error = sync();
    setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_EQ(error.kind, ErrorKind::Io);
    EXPECT_EQ(writer_->position().cursor, cursor);
    EXPECT_TRUE(*ReplicaReader(replica_).find("server/sv1"));
    sync();
    expect_in_step();
}

TEST_F(FollowerTest, WhatIsRefusedStaysSoUntilSomethingWasWritten) {
    writer_.reset();
    put("account/large", '"' + std::string(200'000, 'x') + '"');
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    rlimit small = before;
    small.rlim_cur = 100'000;
    std::stop_source stop;
    int pauses = 0;
    FollowerOptions options;
    options.pause = [&](const std::stop_token&, std::chrono::milliseconds) {
        if (++pauses == 3) setrlimit(RLIMIT_FSIZE, &before);
        if (pauses == 4) stop.request_stop();
    };
    const auto sources = sources_of({{"good", wire_}});
    Follower follower(replica_, sources, options);
    std::vector<bool> refused;
    wire_->on_request = [&](const std::string&) {
        if (pauses == 0) setrlimit(RLIMIT_FSIZE, &small);
        if (pauses < 4) refused.push_back(follower.status().refused);
    };
    wire_->idle = [&] {
        EXPECT_FALSE(follower.status().refused);
        EXPECT_TRUE(follower.status().trouble.empty());
        return false;
    };
    follower.run(stop.get_token());
    // Four attempts to copy, of which the last succeeds, and a stream.
    EXPECT_EQ(refused, (std::vector{false, true, true, true, false}));
    EXPECT_TRUE(replica_->filled());
}

}  // namespace
}  // namespace muster::state
