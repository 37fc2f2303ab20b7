#include "state/feed.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "state/sqlite_store.h"
#include "unit/state/temporary_folder.h"

namespace muster::state {
namespace {

std::vector<std::string> lines_of(const std::string& body) {
    std::vector<std::string> lines;
    LineSplitter splitter;
    const auto done = splitter.feed(body, [&](std::string_view line) -> Result<> {
        lines.emplace_back(line);
        return {};
    });
    EXPECT_TRUE(done);
    return lines;
}

class FeedTest : public testing::Test {
protected:
    void SetUp() override { store_ = *SqliteStore::open(folder_.file("directory.db")); }
    Revision put(const std::string& key, const std::string& value) {
        return *store_->commit(Transaction().put(key, value));
    }

    TemporaryFolder folder_;
    std::unique_ptr<SqliteStore> store_;
};

TEST_F(FeedTest, AStreamTellsTermsThenChangesThenAMark) {
    const Cursor start = store_->head();
    put(R"(node/"a\b)", R"({"x":"y"})");
    (void)store_->commit(Transaction().remove("node/c"));
    ChangeStream stream(*store_, Scope::Relay, start);
    const auto piece = stream.next();
    ASSERT_TRUE(piece);
    const auto lines = lines_of(*piece);
    ASSERT_EQ(lines.size(), 4U);
    EXPECT_EQ(lines[0], R"({"terms":[[1,0]]})");
    EXPECT_EQ(lines[1], R"({"key":"node/\"a\\b","value":{"x":"y"},"revision":1})");
    EXPECT_EQ(lines[2], R"({"key":"node/c","deleted":true,"revision":2})");
    EXPECT_TRUE(lines[3].starts_with(R"({"cursor":")" + format(store_->head()))) << lines[3];
    for (const std::string& line : lines) EXPECT_TRUE(nlohmann::json::accept(line)) << line;
    EXPECT_FALSE(stream.more());
    EXPECT_EQ(lines_of(*stream.next()).size(), 1U);  // quiet: a mark alone
    ASSERT_TRUE(store_->begin_term());
    EXPECT_TRUE(lines_of(*stream.next())[0].starts_with(R"({"terms":[[1,0],[)"));
}

TEST_F(FeedTest, AMarkInTheMiddleDoesNotClaimToBeComplete) {
    const Cursor start = store_->head();
    for (int block = 0; block < 3; ++block) {
        Transaction transaction;
        for (int i = 0; i < 1500; ++i) {
            transaction.put("node/" + std::to_string(block) + "-" + std::to_string(i), "0");
        }
        ASSERT_TRUE(store_->commit(transaction));
    }
    ChangeStream stream(*store_, Scope::Relay, start);
    auto lines = lines_of(*stream.next());
    EXPECT_TRUE(stream.more());
    EXPECT_TRUE(lines.back().ends_with("\"time\":0}")) << lines.back();
    EXPECT_EQ(lines.size(), 3002U);  // the second transaction is whole
    lines = lines_of(*stream.next());
    EXPECT_FALSE(stream.more());
    EXPECT_FALSE(lines.back().ends_with("\"time\":0}")) << lines.back();
}

TEST_F(FeedTest, AStrangerIsToldWhy) {
    put("node/a", "1");
    const auto answer = [&](const std::string& cursor) {
        ChangeStream stream(*store_, Scope::Relay, *parse_cursor(cursor));
        const auto piece = stream.next();
        EXPECT_TRUE(piece && stream.over());
        return piece.value_or("");
    };
    const std::string incarnation = store_->head().incarnation;
    EXPECT_EQ(answer("0.1.1"), "{\"error\":\"diverged\"}\n");
    EXPECT_EQ(answer(incarnation + ".1.2"), "{\"error\":\"behind\"}\n");
    auto load = store_->bulk({});
    SqliteStoreOptions small{.log_limit = 1};
    store_.reset();
    store_ = *SqliteStore::open(folder_.file("directory.db"), small);
    put("node/b", "1");
    put("node/c", "1");
    EXPECT_EQ(answer(incarnation + ".1.0"), "{\"error\":\"trimmed\"}\n");
}

TEST_F(FeedTest, PagesFollowEachOtherAndStayInScope) {
    for (const char* key : {"account/a", "account/b", "admin/x", "key/1", "key/2", "node/n"}) {
        put(key, "0");
    }
    auto lines = lines_of(*copy_page(*store_, Scope::Relay, "", "", 2));
    ASSERT_EQ(lines.size(), 4U);
    EXPECT_EQ(lines[2], R"({"next":"node/n"})");  // and not the name of a hidden entry
    lines = lines_of(*copy_page(*store_, Scope::Relay, "node/n", "", 2));
    EXPECT_EQ(lines.size(), 2U);
    lines = lines_of(*copy_page(*store_, Scope::Relay, "account/a", "account/b", 10));
    EXPECT_EQ(lines.size(), 2U);
}

TEST_F(FeedTest, DigestsTellKeysRevisionsAndValues) {
    put("node/a", "1");
    put("node/b", "1");
    const auto lines = lines_of(*digest_page(*store_, Scope::Relay, "", 100));
    ASSERT_EQ(lines.size(), 2U);
    const auto line = parse_feed_line(lines[0]);
    ASSERT_TRUE(line && std::holds_alternative<DigestLine>(*line));
    const auto& digest = std::get<DigestLine>(*line);
    EXPECT_EQ(digest.to, "node/b");
    EXPECT_EQ(digest.count, 2U);
    RangeDigest same;
    same.add("node/a", "1", 1);
    same.add("node/b", "1", 2);
    EXPECT_EQ(digest.digest, same.value());
    for (const auto& [key, value, revision] :
         {std::tuple{"node/c", "1", Revision{2}}, {"node/b", "2", 2}, {"node/b", "1", 3}}) {
        RangeDigest other;
        other.add("node/a", "1", 1);
        other.add(key, value, revision);
        EXPECT_NE(digest.digest, other.value());
    }
}

TEST(FeedLines, AreParsedStrictly) {
    for (const char* good : {
             R"({"key":"a","value":{"b": 1},"revision":5})",
             R"({"key":"a\"\\","deleted":true,"revision":5})",
             R"({"digest":"00ff","count":3,"to":"x"})",
             R"({"terms":[[1,0],[2,400]]})",
             R"({"terms":[]})",
             R"({"next":"x"})",
             R"({"cursor":"m.1.5","time":17})",
             R"({"error":"behind"})",
         }) {
        EXPECT_TRUE(parse_feed_line(good)) << good;
    }
    for (const char* bad : {
             "",
             "{}",
             "x",
             R"({"key":"a","value":{"b":1},"revision":5}x)",
             R"({"key":"a","value":{"b":1},"revision":5)",
             R"({"key":"a","value":{"b":1},"revision":-5})",
             R"({"key":"a","value":{"b":1},"revision":99999999999999999999})",
             R"({"key":"a","value":1,"revision":9223372036854775808})",
             R"({"cursor":"m.1.5","time":9223372036854775807})",
             R"({"key":"a","value":,"revision":5})",
             R"({"key":"a","value":1 "revision":5})",
             R"({"key":"","value":1,"revision":5})",
             R"({"key":"a\n","value":1,"revision":5})",
             "{\"key\":\"a\x01\",\"value\":1,\"revision\":5}",
             R"({"key":"a","deleted":false,"revision":5})",
             R"({ "key":"a","deleted":true,"revision":5})",
             R"({"digest":"xyz","count":3,"to":"x"})",
             R"({"terms":[[1,0],[2]]})",
             R"({"terms":[[1,0])",
             R"({"next":""})",
             R"({"cursor":"m.1","time":17})",
             R"({"error":"what"})",
             R"({"error":"shared"})",
             R"({"key":"a)",
             "{\"key\":\"a\\",
         }) {
        const auto line = parse_feed_line(bad);
        ASSERT_FALSE(line) << bad;
        EXPECT_EQ(line.error().kind, ErrorKind::Syntax);
    }
}

TEST(FeedLines, AreCutOutOfAnyPieces) {
    std::vector<std::string> lines;
    LineSplitter splitter;
    const auto take = [&](std::string_view line) -> Result<> {
        lines.emplace_back(line);
        return {};
    };
    for (const char* piece : {"a", "b\nc", "\n", "\nd"}) EXPECT_TRUE(splitter.feed(piece, take));
    EXPECT_EQ(lines, (std::vector<std::string>{"ab", "c", ""}));
    const auto done = splitter.feed(std::string(kMaxFeedLine, 'x'), take);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::Limit);
}

TEST(FeedQueries, AreParsedStrictly) {
    const auto query = parse_feed_query("from=account%2Fa%01&to=b&limit=5");
    ASSERT_TRUE(query);
    EXPECT_EQ(query->from, "account/a\x01");
    EXPECT_EQ(query->to, "b");
    EXPECT_EQ(query->limit, 5U);
    EXPECT_EQ(parse_feed_query("since=m.1.5")->since, *parse_cursor("m.1.5"));
    EXPECT_TRUE(parse_feed_query(""));
    const std::string odd = "a b/%&=\xc3\xa4";
    EXPECT_EQ(parse_feed_query("from=" + percent_encode(odd))->from, odd);
    for (const char* bad :
         {"x=1", "from", "from=%", "from=%g0", "limit=0", "limit=10001", "limit=5x", "limit=-1",
          "since=x", "since=m.1.5&since=m.1.5", "from=a&from=b"}) {
        EXPECT_FALSE(parse_feed_query(bad)) << bad;
    }
}

}  // namespace
}  // namespace muster::state
