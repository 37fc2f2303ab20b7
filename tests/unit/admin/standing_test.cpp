#include "admin/standing.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "admin/files.h"
#include "admin/surplus.h"
#include "state/sqlite_store.h"
#include "unit/state/temporary_folder.h"

namespace muster::admin {
namespace {

using nlohmann::json;

std::uint64_t term(std::uint64_t mastership, std::uint64_t mark) {
    return (mastership << state::kMarkBits) + mark;
}

state::History history(std::uint64_t mastership, std::uint64_t mark) {
    return {"m", {{term(0, 1), 0}, {term(mastership, mark), 11}}, 20};
}

TEST(Standing, GoesOverTheWire) {
    const NodeStanding told{.name = "m2",
                            .leads = true,
                            .writes = false,
                            .may_lead = true,
                            .why = "set back",
                            .history = history(2, 7)};
    const auto heard = standing_from(to_json(told));
    ASSERT_TRUE(heard);
    EXPECT_EQ(heard->name, "m2");
    EXPECT_TRUE(heard->leads && !heard->writes && heard->may_lead);
    EXPECT_EQ(heard->why, "set back");
    EXPECT_EQ(heard->history.cursor(), told.history.cursor());
    EXPECT_EQ(heard->history.terms, told.history.terms);
}

TEST(Standing, NonsenseIsNone) {
    for (const char* text :
         {"{}", "[]", "null", R"({"leads":true})", R"({"leads":true,"terms":[]})",
          R"({"leads":true,"terms":[[1]],"revision":1})",
          R"({"leads":true,"terms":[[1,-1]],"revision":1})",
          R"({"leads":true,"terms":{"a":1},"revision":1})"}) {
        EXPECT_FALSE(standing_from(json::parse(text))) << text;
    }
}

TEST(Standing, OfTwoLeadersTheOnePromotedLaterGoesOn) {
    EXPECT_EQ(judge(history(2, 1), history(1, 9)), Rivalry::Ours);
    EXPECT_EQ(judge(history(1, 9), history(2, 1)), Rivalry::Theirs);
    // Both were promoted at once.
    EXPECT_EQ(judge(history(1, 5), history(1, 4)), Rivalry::OursEqual);
    EXPECT_EQ(judge(history(1, 4), history(1, 5)), Rivalry::Waits);
    // A restored backup is another history.
    auto restored = history(0, 1);
    restored.incarnation = "n";
    EXPECT_EQ(judge(history(5, 1), restored), Rivalry::Theirs);
    EXPECT_EQ(judge(restored, history(5, 1)), Rivalry::Ours);
}

TEST(Standing, ANodeIsPutOutByThoseWhoCanKnow) {
    for (const bool revoked : {true, false}) {
        EXPECT_TRUE(puts_out(refusal_of(history(2, 7), revoked), history(2, 9)));
        EXPECT_TRUE(puts_out(refusal_of(history(3, 7), revoked), history(2, 9)));
        // A stand-in that was away does not know who was promoted meanwhile.
        EXPECT_FALSE(puts_out(refusal_of(history(1, 7), revoked), history(2, 9)));
        EXPECT_FALSE(puts_out(refusal_of({}, revoked), history(0, 9)));
        auto restored = history(0, 1);
        restored.incarnation = "n";
        EXPECT_TRUE(puts_out(refusal_of(restored, revoked), history(2, 9)));
        EXPECT_FALSE(puts_out(refusal_of(history(2, 9), revoked), restored));
    }
    for (const char* text : {"null", "{}", R"({"error":"this node was revoked"})",
                             R"({"stranger":true,"incarnation":"m"})",
                             R"({"revoked":1,"incarnation":"m","mastership":9})"}) {
        EXPECT_FALSE(puts_out(json::parse(text), history(0, 9))) << text;
    }
}

class SurplusTest : public testing::Test {
protected:
    void open(std::uint64_t log_limit) {
        store_ = *state::SqliteStore::open(folder_.file("directory.db"), {.log_limit = log_limit});
        for (int i = 1; i <= 10; ++i) put("account/a" + std::to_string(i));
    }
    void put(const std::string& key) {
        ASSERT_TRUE(store_->commit(state::Transaction().put(key, R"({"n":1})")));
    }
    json kept(Revision shared) {
        const auto path = keep_surplus(*store_, shared, "m2", folder_.file("").string());
        EXPECT_TRUE(path) << path.error().detail;
        if (!path || path->empty()) return nullptr;
        using std::filesystem::perms;
        EXPECT_EQ(std::filesystem::status(*path).permissions(),
                  perms::owner_read | perms::owner_write);
        std::ifstream file(*path);
        return json::parse(file);
    }

    state::TemporaryFolder folder_;
    std::unique_ptr<state::SqliteStore> store_;
};

TEST_F(SurplusTest, HoldsWhatTheOtherHasNot) {
    open(1'000);
    ASSERT_TRUE(store_->begin_term());
    put("account/lost");
    ASSERT_TRUE(store_->commit(state::Transaction().remove("account/a1")));
    const json file = kept(10);
    ASSERT_EQ(file["changes"].size(), 2U);
    EXPECT_EQ(file["changes"][0]["key"], "account/lost");
    EXPECT_EQ(file["changes"][0]["value"]["n"], 1);
    EXPECT_TRUE(file["changes"][1]["value"].is_null());
    EXPECT_EQ(file["complete"], true);
    EXPECT_EQ(surplus_files(folder_.file("").string()).size(), 1U);
}

TEST_F(SurplusTest, ALongLogIsWrittenPageByPage) {
    open(100'000);
    ASSERT_TRUE(store_->begin_term());
    state::Transaction many;
    for (int i = 0; i < 6'000; ++i) many.put("account/x" + std::to_string(i), "1");
    ASSERT_TRUE(store_->commit(many));
    put("account/last");
    const json file = kept(10);
    ASSERT_EQ(file["changes"].size(), 6'001U);
    EXPECT_EQ(file["changes"].back()["key"], "account/last");
    EXPECT_EQ(file["complete"], true);
}

TEST(WholeFile, IsThereWholeOrNotAtAll) {
    const state::TemporaryFolder folder;
    const std::string path = folder.file("it").string();
    {
        auto file = WholeFile::create(path, 0600);
        ASSERT_TRUE(file);
        ASSERT_TRUE(file->write("lost"));
        EXPECT_FALSE(exists(path));
    }
    EXPECT_FALSE(exists(path + ".new"));
    auto file = WholeFile::create(path, 0600);
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->write("one "));
    ASSERT_TRUE(file->write("two"));
    ASSERT_TRUE(file->finish());
    EXPECT_EQ(*read_file(path), "one two");
    EXPECT_FALSE(exists(path + ".new"));
}

TEST_F(SurplusTest, NothingToKeepIsNoFile) {
    open(1'000);
    EXPECT_TRUE(kept(10).is_null());
    EXPECT_TRUE(surplus_files(folder_.file("").string()).empty());
}

TEST_F(SurplusTest, WhatTheLogNoLongerHasIsSaid) {
    open(5);
    for (int i = 0; i < 6; ++i) {
        ASSERT_TRUE(store_->begin_term());
        put("account/b" + std::to_string(i));
    }
    const json file = kept(2);
    EXPECT_EQ(file["complete"], false);
    EXPECT_GE(file["changes"].size(), 4U);
}

}  // namespace
}  // namespace muster::admin
