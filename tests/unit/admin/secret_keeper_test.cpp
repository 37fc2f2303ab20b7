#include "admin/secret_keeper.h"

#include <gtest/gtest.h>

#include "admin/sealed_secrets.h"
#include "cluster/health.h"
#include "state/sqlite_store.h"
#include "unit/state/temporary_folder.h"

namespace muster::admin {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using std::chrono::sys_seconds;

const SealSecret kSeal = SealSecret::key(std::string(kSealKeyBytes, 'k'));
const SealSecret kOther = SealSecret::key(std::string(kSealKeyBytes, 'o'));
const sys_seconds kNow{seconds(1'800'000'000)};

class SecretKeeper : public testing::Test {
protected:
    cluster::SharedSecret stored(const std::string& name) {
        const auto entry = store_->get("secret/" + name).value();
        EXPECT_TRUE(entry);
        return cluster::decode_shared_secret(name, entry->value).value();
    }
    void keep(sys_seconds now, std::vector<cluster::Setting> settings = {}) {
        cluster::TopologyParts parts;
        parts.settings = std::move(settings);
        EXPECT_TRUE(
            keep_secrets(*store_, cluster::Topology(std::move(parts), health_), kSeal, now));
    }

    const state::TemporaryFolder folder_;
    std::unique_ptr<state::SqliteStore> store_ =
        state::SqliteStore::open(folder_.path() / "directory.db").value();
    cluster::HealthTable health_{{}};
};

TEST_F(SecretKeeper, WhatIsMissingIsMadeOnce) {
    keep(kNow);
    const auto tickets = stored("tickets");
    const auto srs = stored("srs");
    EXPECT_TRUE(tickets.next);
    EXPECT_FALSE(tickets.previous);
    EXPECT_EQ(tickets.rotated, 1'800'000'000u);
    keep(kNow + hours(1));
    EXPECT_EQ(stored("tickets"), tickets);
    EXPECT_EQ(stored("srs"), srs);
}

TEST_F(SecretKeeper, KeysMoveOnAndNobodyUsesOneThatOthersHaveNotSeen) {
    keep(kNow);
    const auto before = stored("tickets");
    keep(kNow + hours(12));
    const auto after = stored("tickets");
    EXPECT_EQ(after.current, *before.next);
    EXPECT_EQ(*after.previous, before.current);
    EXPECT_NE(*after.next, *before.next);
    keep(kNow + hours(24));
    EXPECT_EQ(*stored("tickets").previous, after.current);
    EXPECT_FALSE(stored("srs").previous) << "is not rotated by itself";
}

TEST_F(SecretKeeper, AClockThatWasAheadHoldsNothingUp) {
    keep(kNow + hours(24 * 365));
    const auto before = stored("tickets");
    keep(kNow);
    EXPECT_EQ(stored("tickets").current, *before.next);
    EXPECT_EQ(stored("tickets").rotated, 1'800'000'000u);
    const auto now = stored("tickets");
    keep(kNow - hours(3));  // that of another master, a little behind
    EXPECT_EQ(stored("tickets"), now);
}

TEST_F(SecretKeeper, ASettingSaysHowOften) {
    keep(kNow);
    const auto before = stored("tickets");
    keep(kNow + hours(24 * 1000), {{.name = "ticket_rotation", .value = "0", .unknown = {}}});
    EXPECT_EQ(stored("tickets"), before);
    keep(kNow + hours(2), {{.name = "ticket_rotation", .value = "2", .unknown = {}}});
    EXPECT_EQ(stored("tickets").current, *before.next);
}

TEST_F(SecretKeeper, OneIsRotatedByHandOrReplacedAsAWhole) {
    keep(kNow);
    const auto before = stored("srs");
    const auto once = rotate_secret(*store_, "srs", false, kSeal, kNow).value();
    EXPECT_EQ(once.current, *before.next);
    EXPECT_EQ(once, stored("srs"));
    const auto fresh = rotate_secret(*store_, "srs", true, kSeal, kNow).value();
    for (const auto& old : {once.current, *once.next, *once.previous}) {
        EXPECT_NE(fresh.current, old);
        EXPECT_NE(*fresh.next, old);
    }
    EXPECT_FALSE(fresh.previous);
    EXPECT_EQ(rotate_secret(*store_, "none", false, kSeal, kNow).error().kind, ErrorKind::NotFound);
    EXPECT_EQ(rotate_secret(*store_, "srs", false, SealSecret::key(""), kNow).error().kind,
              ErrorKind::Refused);
}

TEST_F(SecretKeeper, FieldsOfALaterVersionAreKept) {
    keep(kNow);
    const std::string key = "secret/tickets";
    std::string text = store_->get(key).value()->value;
    text.insert(text.rfind('}'), R"(,"later":7)");
    state::Transaction transaction;
    ASSERT_TRUE(store_->commit(transaction.put(key, text)));
    keep(kNow + hours(12));
    EXPECT_TRUE(store_->get(key).value()->value.contains("\"later\":7"));
    ASSERT_TRUE(rotate_secret(*store_, "tickets", true, kSeal, kNow));
    EXPECT_TRUE(store_->get(key).value()->value.contains("\"later\":7"));
}

TEST_F(SecretKeeper, KeysAreSealedAndOpenForMembersAlone) {
    keep(kNow);
    const auto secret = stored("tickets");
    const auto keys = opened_keys(secret, kSeal).value();
    ASSERT_EQ(keys.size(), 2u);
    EXPECT_EQ(keys[0].size(), kSharedKeyBytes);
    EXPECT_NE(keys[0], keys[1]);
    EXPECT_FALSE(store_->get("secret/tickets").value()->value.contains(keys[0]));
    EXPECT_EQ(opened_keys(secret, kOther).error().kind, ErrorKind::Refused);
    EXPECT_EQ(opened_keys(secret, SealSecret::key("")).error().kind, ErrorKind::Refused);
}

TEST_F(SecretKeeper, AnExportIsTakenBackByItsOwnClusterAlone) {
    keep(kNow);
    auto object = nlohmann::json::parse(store_->get("secret/tickets").value()->value);
    const auto before = object;
    EXPECT_TRUE(seal_secrets("secret/tickets", object, before, kSeal));
    EXPECT_EQ(object, before);
    EXPECT_EQ(seal_secrets("secret/tickets", object, before, kOther).error().kind,
              ErrorKind::Refused);
    object["current"]["key"] = "too short";
    EXPECT_EQ(seal_secrets("secret/tickets", object, before, kSeal).error().kind,
              ErrorKind::Syntax);
    object["current"]["key"] = "in clear, and long enough";
    EXPECT_TRUE(seal_secrets("secret/tickets", object, before, kSeal));
    EXPECT_TRUE(object["current"]["key"].get<std::string>().starts_with("{SEALED}"));
}

}  // namespace
}  // namespace muster::admin
