#include "state/sqlite_store.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "state/feed.h"
#include "state/sqlite.h"
#include "state/turn_mutex.h"
#include "unit/state/temporary_folder.h"

namespace muster::state {
namespace {

class SqliteStoreTest : public testing::Test {
protected:
    void SetUp() override { open(); }

    void open(SqliteStoreOptions options = {}) {
        store_.reset();
        auto store = SqliteStore::open(folder_.file("directory.db"), options);
        ASSERT_TRUE(store) << store.error().detail;
        store_ = std::move(*store);
    }
    Revision put(const std::string& key, const std::string& value) {
        const auto done = store_->commit(Transaction().put(key, value));
        EXPECT_TRUE(done) << done.error().detail;
        return done.value_or(0);
    }
    Revision remove(const std::string& key) {
        return store_->commit(Transaction().remove(key)).value_or(0);
    }
    ChangeBatch changes(const Cursor& since, std::size_t limit = 1000, Scope scope = Scope::All) {
        auto batch = store_->changes(since, limit, scope);
        EXPECT_TRUE(batch) << batch.error().detail;
        return batch.value_or(ChangeBatch{});
    }
    std::vector<std::string> keys(const ChangeBatch& batch) {
        std::vector<std::string> found;
        for (const Change& change : batch.changes) {
            found.push_back((change.value ? "" : "-") + change.key);
        }
        return found;
    }

    TemporaryFolder folder_;
    std::unique_ptr<SqliteStore> store_;
};

using Keys = std::vector<std::string>;

TEST_F(SqliteStoreTest, WhatIsCommittedIsReadBack) {
    const Revision revision = put("server/sv1", R"({"kind":"dovecot"})");
    const auto entry = store_->get("server/sv1");
    ASSERT_TRUE(entry && *entry);
    EXPECT_EQ(**entry, (Entry{"server/sv1", R"({"kind":"dovecot"})", revision}));
    const auto absent = store_->get("server/sv2");
    ASSERT_TRUE(absent);
    EXPECT_FALSE(*absent);
}

TEST_F(SqliteStoreTest, EntriesOfOneTransactionShareARevisionThatGrowsByOne) {
    const Revision before = store_->head().revision;
    const auto done = store_->commit(Transaction().put("node/a", "{}").put("node/b", "{}"));
    ASSERT_TRUE(done);
    EXPECT_EQ(*done, before + 1);
    EXPECT_EQ((**store_->get("node/a")).revision, *done);
    EXPECT_EQ((**store_->get("node/b")).revision, *done);
    EXPECT_EQ(put("node/c", "{}"), before + 2);
}

TEST_F(SqliteStoreTest, AFailedConditionNamesItsKeyAndChangesNothing) {
    const Revision revision = put("node/a", "1");
    auto done = store_->commit(Transaction().expect("node/a", 0).put("node/a", "2"));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::Conflict);
    EXPECT_EQ(done.error().detail, "node/a");

    done = store_->commit(
        Transaction().expect("node/a", revision).expect("node/b", 7).put("node/a", "2"));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().detail, "node/b");
    EXPECT_EQ((**store_->get("node/a")).value, "1");
    EXPECT_EQ(store_->head().revision, revision);

    EXPECT_TRUE(store_->commit(
        Transaction().expect("node/a", revision).expect("node/b", 0).put("node/a", "2")));
}

TEST_F(SqliteStoreTest, ATransactionWithoutWritesOnlyChecks) {
    const Revision revision = put("node/a", "1");
    EXPECT_EQ(store_->commit(Transaction().expect("node/a", revision)), revision);
    EXPECT_FALSE(store_->commit(Transaction().expect("node/a", revision + 1)));
    EXPECT_EQ(store_->head().revision, revision);
}

TEST_F(SqliteStoreTest, RefusesWhatIsNoKeyOrNoJson) {
    const auto kind = [&](std::string key, std::string value) {
        const auto done = store_->commit(Transaction().put(std::move(key), std::move(value)));
        return done ? std::optional<ErrorKind>() : done.error().kind;
    };
    EXPECT_EQ(kind("", "{}"), ErrorKind::Syntax);
    EXPECT_EQ(kind("node/\n", "{}"), ErrorKind::Syntax);
    EXPECT_EQ(kind("node/\xff", "{}"), ErrorKind::Syntax);
    EXPECT_EQ(kind(std::string(kMaxKey + 1, 'k'), "{}"), ErrorKind::Limit);
    EXPECT_EQ(kind("node/a", ""), ErrorKind::Syntax);
    EXPECT_EQ(kind("node/a", "{\n}"), ErrorKind::Syntax);
    EXPECT_EQ(kind("node/a", "{}{}"), ErrorKind::Syntax);
    EXPECT_EQ(kind("node/a", '"' + std::string(kMaxValue, 'v') + '"'), ErrorKind::Limit);
    EXPECT_EQ(kind("account/ärger@domain1.dom", R"({"a": "ä"})"), std::nullopt);
}

TEST_F(SqliteStoreTest, RangesAreOrderedHalfOpenAndLimited) {
    for (const char* key : {"b/2", "a/1", "b/1", "c/1", "b/3"}) put(key, "0");
    const auto all = store_->range("b/", prefix_end("b/"), 10);
    ASSERT_TRUE(all);
    ASSERT_EQ(all->size(), 3U);
    EXPECT_EQ((*all)[0].key, "b/1");
    EXPECT_EQ((*all)[2].key, "b/3");
    EXPECT_EQ(store_->range("b/", prefix_end("b/"), 2)->size(), 2U);
    EXPECT_EQ(store_->range(after("b/1"), "", 10)->front().key, "b/2");
}

TEST_F(SqliteStoreTest, ChangesFollowACursorWithTombstones) {
    const Cursor start = store_->head();
    put("node/a", "1");
    put("node/b", "1");
    remove("node/a");
    const auto batch = changes(start);
    EXPECT_EQ(batch.standing, Standing::Shared);
    EXPECT_EQ(keys(batch), (Keys{"node/b", "-node/a"}));
    EXPECT_EQ(batch.next, store_->head());
    EXPECT_FALSE(batch.more);
    EXPECT_TRUE(changes(batch.next).changes.empty());
}

TEST_F(SqliteStoreTest, AnEntryIsToldOnceWhereItChangedLast) {
    const Cursor start = store_->head();
    put("node/a", "1");
    put("node/b", "1");
    put("node/a", "2");
    const auto batch = changes(start);
    EXPECT_EQ(keys(batch), (Keys{"node/b", "node/a"}));
    EXPECT_EQ(batch.changes[1].value, "2");
}

TEST_F(SqliteStoreTest, ALimitNeverCutsATransaction) {
    const Cursor start = store_->head();
    store_->commit(Transaction().put("node/a", "1").put("node/b", "1").put("node/c", "1"));
    put("node/d", "1");
    const auto first = changes(start, 1);
    EXPECT_EQ(keys(first), (Keys{"node/a", "node/b", "node/c"}));
    EXPECT_TRUE(first.more);
    const auto second = changes(first.next, 1);
    EXPECT_EQ(keys(second), (Keys{"node/d"}));
    EXPECT_FALSE(second.more);
    EXPECT_EQ(second.next, store_->head());
}

TEST_F(SqliteStoreTest, PasswordKeysReachBackEndsOnly) {
    const Cursor start = store_->head();
    store_->commit(Transaction()
                       .put("account/kate@domain1.dom", "{}")
                       .put("admin/root", "{}")
                       .put("certificate/c", "{}")
                       .put("credential/old", "{}")
                       .put("key/k2", "{}")
                       .put("shared-acl/a/b", "{}")
                       .put("strange/x", "{}"));
    remove("key/k2");
    put("key/k1", "{}");
    const Keys relay{"account/kate@domain1.dom"};
    const Keys frontend{"account/kate@domain1.dom", "certificate/c", "credential/old"};
    EXPECT_EQ(keys(changes(start, 1000, Scope::Relay)), relay);
    EXPECT_EQ(keys(changes(start, 1000, Scope::Frontend)), frontend);
    EXPECT_EQ(keys(changes(start, 1000, Scope::Backend)),
              (Keys{"account/kate@domain1.dom", "admin/root", "certificate/c", "credential/old",
                    "shared-acl/a/b", "-key/k2", "key/k1"}));
    EXPECT_EQ(changes(start, 1000, Scope::Relay).next, store_->head());

    for (const Scope scope : {Scope::Relay, Scope::Frontend}) {
        const auto page = store_->page("", "", 1000, scope);
        ASSERT_TRUE(page);
        for (const Entry& entry : page->entries) {
            EXPECT_FALSE(entry.key.starts_with("key/")) << entry.key;
            EXPECT_FALSE(entry.key.starts_with("admin/")) << entry.key;
            EXPECT_FALSE(entry.key.starts_with("strange/")) << entry.key;
        }
        EXPECT_EQ(page->entries.size(), scope == Scope::Relay ? 1U : 3U);
    }
}

TEST_F(SqliteStoreTest, AMirrorIsToldOfWhatItMaySeeNoMoreAsGone) {
    put("domain/far.dom", R"({"kind":"remote"})");
    put("domain/here.dom", R"({"kind":"shared"})");
    put("node/m1", R"({"master":true})");
    put("node/fe1", R"({})");
    put("account/kate@here.dom", R"({"kind":"remote"})");
    const auto page = store_->page("", "", 1000, Scope::Mirror);
    ASSERT_TRUE(page);
    ASSERT_EQ(page->entries.size(), 2U);
    EXPECT_EQ(page->entries[0].key, "domain/far.dom");
    EXPECT_EQ(page->entries[1].key, "node/m1");
    const Cursor start = store_->head();
    put("domain/far.dom", R"({"kind":"shared","servers":["sv1"]})");
    put("domain/here.dom", R"({"kind":"remote"})");
    put("account/kate@here.dom", R"({})");
    const auto told = changes(start, 1000, Scope::Mirror);
    EXPECT_EQ(keys(told), (Keys{"-domain/far.dom", "domain/here.dom"}));
    EXPECT_EQ(told.next, store_->head());
}

TEST_F(SqliteStoreTest, AMirrorHearsNoNamesOfWhatItNeverSaw) {
    put("domain/old.dom", R"({"kind":"shared"})");
    const Cursor start = store_->head();
    put("domain/new.dom", R"({"kind":"shared"})");
    put("domain/old.dom", R"({"kind":"local"})");
    put("node/fe1", R"({})");
    put("node/fe1", R"({"smtp":["192.0.2.1:25"]})");
    remove("domain/new.dom");
    remove("node/fe1");
    EXPECT_EQ(keys(changes(start, 1000, Scope::Mirror)), Keys());
    EXPECT_EQ(changes(start, 1000, Scope::Relay).changes.size(), 3U);
    open();  // and after a restart
    EXPECT_EQ(keys(changes(start, 1000, Scope::Mirror)), Keys());
}

TEST_F(SqliteStoreTest, AMirrorHearsOfWhatItSawHoweverOftenThatChangedSince) {
    put("domain/a.dom", R"({"kind":"remote"})");
    put("domain/b.dom", R"({"kind":"remote"})");
    put("domain/c.dom", R"({"kind":"remote"})");
    const Cursor start = store_->head();
    put("domain/a.dom", R"({"kind":"shared"})");
    const Cursor middle = store_->head();
    put("domain/a.dom", R"({"kind":"shared","servers":["sv1"]})");
    put("domain/b.dom", R"({"kind":"shared"})");
    remove("domain/b.dom");
    put("domain/c.dom", R"({"kind":"shared"})");
    put("domain/c.dom", R"({"kind":"remote","tls":"none"})");
    EXPECT_EQ(keys(changes(start, 1000, Scope::Mirror)),
              (Keys{"-domain/a.dom", "-domain/b.dom", "domain/c.dom"}));
    EXPECT_EQ(keys(changes(middle, 1000, Scope::Mirror)), (Keys{"-domain/b.dom", "domain/c.dom"}));
}

TEST_F(SqliteStoreTest, ALogOfAnEarlierVersionTellsAMirrorTooMuchRatherThanTooLittle) {
    put("domain/a.dom", R"({"kind":"remote"})");
    const Cursor start = store_->head();
    put("domain/a.dom", R"({"kind":"shared"})");
    put("domain/hidden.dom", R"({"kind":"shared"})");
    store_.reset();
    {
        auto database = Database::open(folder_.file("directory.db"), Database::Mode::Existing);
        ASSERT_TRUE(database && database->run("DROP TABLE unseen"));
    }
    open();
    EXPECT_EQ(keys(changes(start, 1000, Scope::Mirror)),
              (Keys{"-domain/a.dom", "-domain/hidden.dom"}));
}

TEST_F(SqliteStoreTest, APageForAMirrorReadsNoMoreThanAFewRowsForEachThatItMayHold) {
    const auto name = [](int i) { return "domain/" + std::to_string(1000 + i) + ".dom"; };
    Transaction many;
    for (int i = 0; i < 300; ++i) many.put(name(i), R"({"kind":"shared"})");
    for (const int i : {150, 299}) many.put(name(i), R"({"kind":"remote"})");
    ASSERT_TRUE(store_->commit(many));
    auto page = store_->page("", "", 10, Scope::Mirror);
    ASSERT_TRUE(page);
    EXPECT_TRUE(page->entries.empty());
    EXPECT_EQ(page->next, after(name(79)));
    page = store_->page(page->next, "", 10, Scope::Mirror);
    ASSERT_EQ(page->entries.size(), 1U);
    EXPECT_EQ(page->next, after(name(150)));  // not the name of one that it may not see
    page = store_->page(name(299), "", 10, Scope::Mirror);
    EXPECT_EQ(page->entries.size(), 1U);
    EXPECT_EQ(page->next, "");
    std::size_t sent = 0;
    for (std::string from; sent < 10;) {  // as it is sent
        const auto text = copy_page(*store_, Scope::Mirror, from, "", 10);
        ASSERT_TRUE(text);
        ++sent;
        EXPECT_EQ(text->find("shared"), text->npos);
        const auto next = text->find("{\"next\":\"domain/");
        if (next == text->npos) break;
        EXPECT_EQ(text->substr(next + 9, name(150).size()), name(150)) << *text;
        from = after(name(150));
    }
    EXPECT_EQ(sent, 2U);
}

TEST_F(SqliteStoreTest, PagesCoverEverythingOnce) {
    for (int i = 0; i < 25; ++i) put("account/" + std::to_string(1000 + i), "0");
    for (int i = 0; i < 25; ++i) put("key/" + std::to_string(1000 + i), "0");
    put("node/z", "0");
    for (const Scope scope : {Scope::Relay, Scope::Backend}) {
        std::size_t seen = 0;
        std::string from;
        do {
            const auto page = store_->page(from, "", 10, scope);
            ASSERT_TRUE(page);
            EXPECT_LE(page->entries.size(), 10U);
            seen += page->entries.size();
            EXPECT_TRUE(page->next.empty() || page->next > from);
            from = page->next;
        } while (!from.empty());
        EXPECT_EQ(seen, scope == Scope::Relay ? 26U : 51U);
    }
}

TEST_F(SqliteStoreTest, EverythingSurvivesARestart) {
    const Cursor start = store_->head();
    const Revision revision = put("node/a", "1");
    remove("node/gone");
    ASSERT_TRUE(store_->begin_term());
    const History before = store_->history();
    open();
    EXPECT_EQ(store_->history().incarnation, before.incarnation);
    EXPECT_EQ(store_->history().terms, before.terms);
    EXPECT_EQ(store_->history().head, before.head);
    EXPECT_EQ((**store_->get("node/a")).revision, revision);
    EXPECT_EQ(keys(changes(start)), (Keys{"node/a", "-node/gone"}));
}

TEST_F(SqliteStoreTest, CursorsAreJudgedByIncarnationAndTerm) {
    put("node/a", "1");
    const Cursor old = store_->head();
    put("node/a", "2");
    ASSERT_TRUE(store_->begin_term());
    const Cursor at_change = store_->head();
    put("node/a", "3");
    EXPECT_GT(store_->head().term, at_change.term);
    EXPECT_EQ(changes(old).standing, Standing::Shared);
    EXPECT_EQ(changes(at_change).standing, Standing::Shared);

    Cursor set_back = store_->head();  // what was written before the disk was set back
    set_back.term = at_change.term;
    EXPECT_EQ(changes(set_back).standing, Standing::Behind);
    Cursor ahead = store_->head();
    ++ahead.revision;
    EXPECT_EQ(changes(ahead).standing, Standing::Behind);
    Cursor next_term = store_->head();
    ++next_term.term;
    EXPECT_EQ(changes(next_term).standing, Standing::Behind);

    ASSERT_TRUE(store_->renew_incarnation());
    EXPECT_EQ(changes(old).standing, Standing::Diverged);
    Cursor restored = store_->head();
    restored.incarnation.back() = 'z';
    restored.incarnation.front() = 'z';
    EXPECT_EQ(changes(restored).standing, Standing::Behind);
}

TEST_F(SqliteStoreTest, ATrimmedLogSaysSo) {
    open({.log_limit = 10});
    const Cursor start = store_->head();
    for (int i = 0; i < 10; ++i) put("node/" + std::to_string(i), "1");
    EXPECT_EQ(changes(start).changes.size(), 10U);
    const Cursor later = store_->head();
    put("node/x", "1");
    EXPECT_EQ(changes(start).standing, Standing::Trimmed);
    EXPECT_EQ(keys(changes(later)), (Keys{"node/x"}));
    open({.log_limit = 10});
    EXPECT_EQ(changes(start).standing, Standing::Trimmed);
    EXPECT_EQ(changes(later).standing, Standing::Shared);
}

TEST_F(SqliteStoreTest, WatchesHearOfEachCommitUntilTheyEnd) {
    std::vector<std::string> heard;
    {
        const Watch watch = store_->watch([&](const Changed& changed) {
            for (const auto& key : changed.keys) heard.push_back(key);
            EXPECT_FALSE(changed.everything);
        });
        put("node/a", "1");
        (void)store_->commit(Transaction().expect("node/a", 99).put("node/b", "1"));
        remove("node/a");
    }
    put("node/c", "1");
    EXPECT_EQ(heard, (Keys{"node/a", "node/a"}));
}

TEST_F(SqliteStoreTest, ThreadsCommitAndReadTogether) {
    std::atomic<int> conflicts = 0;
    const auto count_up = [&] {
        for (int done = 0; done < 50;) {
            const auto entry = store_->get("node/counter");
            ASSERT_TRUE(entry);
            const int value = *entry ? std::stoi((*entry)->value) : 0;
            const Revision revision = *entry ? (*entry)->revision : 0;
            const auto committed =
                store_->commit(Transaction()
                                   .expect("node/counter", revision)
                                   .put("node/counter", std::to_string(value + 1)));
            if (committed) {
                ++done;
            } else {
                ASSERT_EQ(committed.error().kind, ErrorKind::Conflict);
                ++conflicts;
            }
        }
    };
    {
        const std::jthread other(count_up);
        count_up();
    }
    EXPECT_EQ((**store_->get("node/counter")).value, "100");
}

TEST_F(SqliteStoreTest, BulkLoadsInAnyOrderAndSpills) {
    open({.bulk_memory = 2000});
    const Cursor start = store_->head();
    bool told = false;
    const Watch watch = store_->watch([&](const Changed& changed) { told = changed.everything; });
    auto load = store_->bulk({});
    for (int i = 0; i < 3000; ++i) {
        const int number = (i * 1237) % 3000;
        ASSERT_TRUE(load->add("account/" + std::to_string(10000 + number), std::to_string(number)));
    }
    EXPECT_TRUE(store_->range("", "", 10)->empty());  // nothing is seen before the end
    const auto outcome = load->finish();
    ASSERT_TRUE(outcome) << outcome.error().detail;
    EXPECT_EQ(outcome->written, 3000U);
    EXPECT_EQ(outcome->refused, 0U);
    EXPECT_EQ(store_->head().revision, outcome->revision);
    EXPECT_TRUE(told);
    EXPECT_EQ((**store_->get("account/12345")).value, "2345");
    EXPECT_EQ(store_->range("", "", 10000)->size(), 3000U);
    std::size_t followed = 0;
    Cursor at = start;
    for (bool more = true; more;) {
        const auto batch = changes(at, 100);
        EXPECT_LE(batch.changes.size(), 1000U);
        followed += batch.changes.size();
        at = batch.next;
        more = batch.more;
    }
    EXPECT_EQ(followed, 3000U);
}

TEST_F(SqliteStoreTest, ABulkLoadIsAllOrNothingUnlessToldOtherwise) {
    const Revision revision = put("account/b", "1");
    auto load = store_->bulk({});
    ASSERT_TRUE(load->add("account/a", "2"));
    ASSERT_TRUE(load->add("account/b", "2"));
    auto outcome = load->finish();
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->written, 0U);
    ASSERT_EQ(outcome->refusals.size(), 1U);
    EXPECT_EQ(outcome->refusals[0].key, "account/b");
    EXPECT_FALSE(*store_->get("account/a"));
    EXPECT_EQ(store_->head().revision, revision);

    load = store_->bulk({.all_or_nothing = false});
    for (const char* key : {"account/c", "account/b", "account/a", "account/c"}) {
        ASSERT_TRUE(load->add(key, "3"));
    }
    outcome = load->finish();
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->written, 2U);
    ASSERT_EQ(outcome->refusals.size(), 2U);
    EXPECT_EQ(outcome->refusals[0].key, "account/b");
    EXPECT_EQ(outcome->refusals[1].key, "account/c");
    EXPECT_EQ((**store_->get("account/b")).value, "1");

    load = store_->bulk({});
    const BulkEntry replacing{"account/b", "4", true};
    ASSERT_TRUE(load->add({&replacing, 1}, 1));
    ASSERT_TRUE(load->finish());
    EXPECT_EQ((**store_->get("account/b")).value, "4");
}

TEST_F(SqliteStoreTest, ABulkLoadRefusesWhatOthersHaveChangedSince) {
    put("account/a", "1");
    put("account/b", "1");
    put("key/a", "1");
    const Revision since = store_->head().revision;
    put("key/a", "2");
    ASSERT_TRUE(store_->commit(Transaction{}.remove("account/b")));
    for (const bool whole : {true, false}) {
        auto load = store_->bulk({.all_or_nothing = whole, .since = since});
        const std::vector<BulkEntry> first{{"account/a", "3", true}, {"key/a", "3", true}};
        const std::vector<BulkEntry> second{{"account/b", "3", true}};
        const std::vector<BulkEntry> third{{"account/c", "3", false}, {"key/c", "3", false}};
        ASSERT_TRUE(load->add(first, 1));
        ASSERT_TRUE(load->add(second, 2));
        ASSERT_TRUE(load->add(third, 3));
        const auto outcome = load->finish();
        ASSERT_TRUE(outcome) << outcome.error().detail;
        ASSERT_EQ(outcome->refusals.size(), 2U);
        EXPECT_TRUE(outcome->refusals[0].changed);
        EXPECT_EQ(outcome->written, whole ? 0U : 2U);
        EXPECT_EQ((**store_->get("account/a")).value, "1");
        EXPECT_FALSE(*store_->get("account/b"));
        EXPECT_EQ(store_->get("account/c")->has_value(), !whole);
    }
}

TEST_F(SqliteStoreTest, APartialLoadThatBreaksOffTearsNoGroup) {
    open({.log_limit = 10});
    // What a crash after the first transaction leaves: the second never happens.
    auto load = store_->bulk({.all_or_nothing = false, .progress = [](auto written, auto all) {
                                  if (written > 0 && written < all)
                                      throw std::runtime_error("power cut");
                              }});
    constexpr int kGroups = 40'000;
    for (int i = 0; i < kGroups; ++i) {
        const std::string name = std::to_string(100'000 + i);
        const std::vector<BulkEntry> group{{"account/" + name, "1"}, {"key/" + name, "1"}};
        ASSERT_TRUE(load->add(group, 1));
    }
    EXPECT_THROW((void)load->finish(), std::runtime_error);
    load.reset();
    const auto accounts = store_->range("account/", "account0", kGroups)->size();
    EXPECT_GT(accounts, 0U);
    EXPECT_LT(accounts, kGroups);
    EXPECT_EQ(store_->range("key/", "key0", kGroups)->size(), accounts);
}

TEST(TurnMutex, GivesWayToWhoeverWaits) {
    TurnMutex mutex;
    std::vector<int> order;
    mutex.lock();
    std::jthread other([&] {
        const std::lock_guard lock(mutex);
        order.push_back(1);
    });
    while (mutex.waiting() == 0) std::this_thread::yield();
    mutex.unlock();
    mutex.lock();
    order.push_back(2);
    mutex.unlock();
    other.join();
    EXPECT_EQ(order, (std::vector{1, 2}));
}

TEST_F(SqliteStoreTest, ABulkLoadBeyondTheLogTrimsIt) {
    open({.log_limit = 10});
    put("node/a", "1");
    const Cursor start = store_->head();
    auto load = store_->bulk({});
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(load->add("account/" + std::to_string(i), "1"));
    ASSERT_TRUE(load->finish());
    EXPECT_EQ(changes(start).standing, Standing::Trimmed);
    const Cursor later = store_->head();
    put("node/b", "1");
    EXPECT_EQ(keys(changes(later)), (Keys{"node/b"}));
}

TEST_F(SqliteStoreTest, ADroppedBulkLoadLeavesNoTrace) {
    {
        const auto load = store_->bulk({});
        ASSERT_TRUE(load->add("account/a", "2"));
        EXPECT_FALSE(load->add("account/b", "{"));
    }
    EXPECT_TRUE(store_->range("", "", 10)->empty());
}

TEST_F(SqliteStoreTest, AFullDiskWritesNothingHalf) {
    const Revision revision = put("node/a", "1");
    const auto size = std::filesystem::file_size(folder_.file("directory.db-wal"));
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    rlimit small = before;
    small.rlim_cur = size + 20'000;
    setrlimit(RLIMIT_FSIZE, &small);
    Transaction large;
    for (int i = 0; i < 20; ++i) {
        large.put("node/n" + std::to_string(i), '"' + std::string(10'000, 'x') + '"');
    }
    const auto done = store_->commit(large);
    setrlimit(RLIMIT_FSIZE, &before);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::Io);
    EXPECT_FALSE(*store_->get("node/n0"));
    EXPECT_EQ(store_->head().revision, revision);
    EXPECT_EQ(put("node/b", "1"), revision + 1);
    open();
    EXPECT_EQ(store_->range("", "", 100)->size(), 2U);
}

TEST_F(SqliteStoreTest, ASecondProcessIsRefused) {
    const auto second = SqliteStore::open(folder_.file("directory.db"));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().kind, ErrorKind::Unavailable);
}

TEST_F(SqliteStoreTest, ABackupIsAWholeStore) {
    put("node/a", "1");
    ASSERT_TRUE(store_->backup_to(folder_.file("backup.db")));
    EXPECT_FALSE(store_->backup_to(folder_.file("backup.db")));
    using std::filesystem::perms;
    for (const char* name : {"backup.db", "directory.db", "directory.db-wal"}) {
        const auto mode = std::filesystem::status(folder_.file(name)).permissions();
        EXPECT_EQ(mode, perms::owner_read | perms::owner_write) << name;  // they hold keys
    }
    put("node/b", "1");
    const auto copy = SqliteStore::open(folder_.file("backup.db"));
    ASSERT_TRUE(copy) << copy.error().detail;
    EXPECT_EQ((*copy)->range("", "", 10)->size(), 1U);
    EXPECT_EQ((*copy)->head().incarnation, store_->head().incarnation);
}

TEST_F(SqliteStoreTest, ADamagedFileIsSaidWithWhatToDo) {
    for (int i = 0; i < 2000; ++i) {
        if (i % 500 == 0) put("node/x", "1");
    }
    auto load = store_->bulk({});
    for (int i = 0; i < 2000; ++i) {
        ASSERT_TRUE(load->add("account/" + std::to_string(10000 + i), R"({"home":"sv1"})"));
    }
    ASSERT_TRUE(load->finish());
    store_.reset();
    {
        std::fstream file(folder_.file("directory.db"),
                          std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(4096);
        const std::string garbage(16 * 4096, '\xA5');
        file.write(garbage.data(), static_cast<std::streamsize>(garbage.size()));
    }
    auto opened = SqliteStore::open(folder_.file("directory.db"));
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, ErrorKind::Corrupt);
    EXPECT_NE(opened.error().detail.find("restore a backup"), std::string::npos);

    std::ofstream(folder_.file("noise.db")) << std::string(10'000, 'n');
    opened = SqliteStore::open(folder_.file("noise.db"));
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, ErrorKind::Corrupt);
}

TEST(OpenStores, MakesBothParts) {
    const TemporaryFolder folder;
    auto stores = open_stores(folder.path());
    ASSERT_TRUE(stores) << stores.error().detail;
    EXPECT_TRUE(stores->coordination->commit(Transaction().put("alive/n1", "{}")));
    EXPECT_FALSE(*stores->directory->get("alive/n1"));
    EXPECT_TRUE(std::filesystem::exists(directory_file(folder.path())));
}

}  // namespace
}  // namespace muster::state
