#include "cluster/session_table.h"

#include <gtest/gtest.h>

namespace muster::cluster {
namespace {

struct FakeSession final : Kickable {
    void kick(std::string_view why) override { reason = why; }
    std::string reason;
};

SessionInfo info(const std::string& id, const std::string& account, const std::string& server) {
    SessionInfo result;
    result.id = SessionId(id);
    result.account = AccountAddress(account);
    result.account_id = AccountId("abcdefghijklmnop");
    result.service = Service::Pop3;
    result.client = *Endpoint::parse("[2001:db8::1]:4711");
    result.server = ServerName(server);
    result.since = std::chrono::system_clock::time_point(std::chrono::seconds(1'700'000'000));
    result.tls = true;
    return result;
}

TEST(SessionTable, ListsWhatWasInserted) {
    SessionTable table(2, 100);
    FakeSession session;
    const SessionInfo kate = info("a1", "kate@domain1.dom", "sv2");
    const auto handle = table.shard(1).insert(kate, session);
    ASSERT_TRUE(handle);
    const auto listed = table.list({}, 10);
    ASSERT_EQ(listed.size(), 1u);
    EXPECT_EQ(listed[0].info, kate);
    EXPECT_EQ(listed[0].handle, *handle);
    table.shard(1).remove(*handle);
    EXPECT_EQ(table.size(), 0u);
    EXPECT_TRUE(table.list({}, 10).empty());
}

TEST(SessionTable, FiltersMatchEachField) {
    SessionTable table(1, 100);
    FakeSession session;
    table.shard(0).insert(info("a1", "kate@domain1.dom", "sv2"), session);
    table.shard(0).insert(info("a2", "ada@domain1.dom", "sv1"), session);
    const auto count = [&](const SessionFilter& filter) { return table.list(filter, 10).size(); };
    SessionFilter filter;
    filter.account = AccountAddress("kate@domain1.dom");
    EXPECT_EQ(count(filter), 1u);
    filter.server = ServerName("sv1");
    EXPECT_EQ(count(filter), 0u);
    filter = {};
    filter.id = SessionId("a2");
    EXPECT_EQ(count(filter), 1u);
    filter = {};
    filter.client = IpAddress::parse("2001:db8::1").value();
    EXPECT_EQ(count(filter), 2u);
    filter.service = Service::Imap;
    EXPECT_EQ(count(filter), 0u);
}

TEST(SessionTable, KickReachesTheSessionAndNeverItsSuccessor) {
    SessionTable table(1, 100);
    FakeSession first;
    FakeSession second;
    const auto old = table.shard(0).insert(info("a1", "kate@domain1.dom", "sv2"), first);
    EXPECT_TRUE(table.shard(0).kick(*old, "moved"));
    EXPECT_EQ(first.reason, "moved");
    table.shard(0).remove(*old);
    table.shard(0).insert(info("a2", "ada@domain1.dom", "sv1"), second);
    EXPECT_FALSE(table.shard(0).kick(*old, "moved"));
    table.shard(0).remove(*old);
    EXPECT_EQ(table.size(), 1u);
    EXPECT_TRUE(second.reason.empty());
}

TEST(SessionTable, IsBounded) {
    SessionTable table(1, 2);
    FakeSession session;
    EXPECT_TRUE(table.shard(0).insert(info("a1", "a@d", "sv1"), session));
    EXPECT_TRUE(table.shard(0).insert(info("a2", "b@d", "sv1"), session));
    EXPECT_FALSE(table.shard(0).insert(info("a3", "c@d", "sv1"), session));
    EXPECT_EQ(table.list({}, 1).size(), 1u);
}

TEST(SessionTable, ASessionTakesLessThan200Bytes) {
    SessionTable table(1, 100'000);
    FakeSession session;
    constexpr std::size_t kCount = 50'000;
    for (std::size_t i = 0; i < kCount; ++i) {
        const std::string number = std::to_string(i);
        table.shard(0).insert(
            info("fe1-0123456789" + number, "user" + number + "@domain1.dom", "sv1"), session);
    }
    // malloc adds up to 24 bytes to each packed text.
    EXPECT_LT(table.shard(0).memory() / kCount + 24, 200u);
}

}  // namespace
}  // namespace muster::cluster
