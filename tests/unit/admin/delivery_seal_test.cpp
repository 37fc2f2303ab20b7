#include "admin/delivery_seal.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cluster/credential_seal.h"
#include "state/json_value.h"
#include "state/sqlite_store.h"
#include "unit/state/temporary_folder.h"

namespace muster::admin {
namespace {

using nlohmann::json;

const std::string kSecret(kSealKeyBytes, 'k');

cluster::Node mirror() {
    cluster::Node node;
    node.name = NodeName("branch");
    node.scope = cluster::NodeScope::Mirror;
    node.pin = "sha256//abc";
    node.credentials = true;
    return node;
}

std::string entry() {
    const std::string sealed = cluster::sealed_password("open sesame", SealSecret::key(kSecret));
    return state::json_line({{"user", "u"}, {"password", sealed}, {"newer", 1}});
}

TEST(DeliverySeal, EachFollowersKeyIsItsOwn) {
    const std::string key = follower_key(kSecret, NodeName("a"), "p");
    EXPECT_EQ(key.size(), kSealKeyBytes);
    EXPECT_EQ(follower_key(kSecret, NodeName("a"), "p"), key);
    EXPECT_NE(follower_key(kSecret, NodeName("b"), "p"), key);
    EXPECT_NE(follower_key(kSecret, NodeName("a"), "q"), key);
    EXPECT_NE(follower_key(std::string(kSealKeyBytes, 'x'), NodeName("a"), "p"), key);
    EXPECT_EQ(follower_key("", NodeName("a"), "p"), "");
}

TEST(DeliverySeal, AFollowerWithTheRightGetsWhatItAloneOpensAndTheSameEachTime) {
    const state::TemporaryFolder folder;
    const auto store = *state::SqliteStore::open(folder.file("directory.db"));
    const state::Cursor start = store->head();
    ASSERT_TRUE(store->commit(state::Transaction()
                                  .put("delivery/far.dom", entry())
                                  .put("domain/far.dom", R"({"kind":"remote"})")));
    NodeIdentity identity;
    identity.secret = kSecret;
    const cluster::Node node = mirror();
    const auto view = view_for(node, sight_of(node, state::Scope::Mirror, true), identity);
    const auto page = state::copy_page(*store, view, "", "", 100);
    ASSERT_TRUE(page);
    const auto entries = [](std::string_view text) {  // what follows tells the time
        return std::string(text.substr(0, text.find("{\"cursor\"")));
    };
    EXPECT_EQ(entries(state::copy_page(*store, view, "", "", 100).value()), entries(*page));
    const json line = state::parse_json(page->substr(0, page->find('\n')));
    const json& value = line["value"];
    EXPECT_EQ(line["key"], "delivery/far.dom");
    EXPECT_EQ(value["user"], "u");
    EXPECT_EQ(value["newer"], 1);
    const std::string sealed = value["password"];
    const SealSecret own = SealSecret::key(follower_key(kSecret, node.name, node.pin));
    EXPECT_EQ(cluster::opened_password(sealed, own).value(), "open sesame");
    EXPECT_FALSE(cluster::opened_password(sealed, SealSecret::key(kSecret)));
    // A stream tells the same, and digests are of it.
    state::ChangeStream stream(*store, view, start);
    EXPECT_TRUE(stream.next()->contains(sealed));
    const auto digests = state::digest_page(*store, view, "", 100);
    state::RangeDigest digest;
    digest.add("delivery/far.dom", state::json_line(value), line["revision"]);
    digest.add("domain/far.dom", R"({"kind":"remote"})", line["revision"]);
    EXPECT_TRUE(digests->contains("\"count\":2"));
    char hex[24];
    std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(digest.value()));
    EXPECT_TRUE(digests->contains(hex)) << *digests;
}

TEST(DeliverySeal, WithoutTheRightOrTheWishThereIsNone) {
    const cluster::Node node = mirror();
    EXPECT_FALSE(sight_of(node, state::Scope::Mirror, false).delivery);
    cluster::Node without = node;
    without.credentials = false;
    EXPECT_FALSE(sight_of(without, state::Scope::Mirror, true).delivery);
    cluster::Node relay = node;
    relay.scope = cluster::NodeScope::Relay;
    EXPECT_FALSE(sight_of(relay, state::Scope::Mirror, true).delivery);
}

TEST(DeliverySeal, WhatTheMasterCannotOpenIsSentWithoutPassword) {
    std::string value = entry();
    sealed_for(SealSecret::key(std::string(kSealKeyBytes, 'x')), SealSecret::key(kSecret))(
        "delivery/far.dom", value);
    EXPECT_EQ(state::parse_json(value)["password"], "");
    std::string other = R"({"password":"x"})";
    sealed_for(SealSecret::key(kSecret), SealSecret::key(kSecret))("credential/sv1", other);
    EXPECT_EQ(other, R"({"password":"x"})");
}

}  // namespace
}  // namespace muster::admin
