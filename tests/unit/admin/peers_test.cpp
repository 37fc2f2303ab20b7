#include "admin/peers.h"

#include <gtest/gtest.h>

#include "cluster/directory_writer.h"
#include "state/sqlite_store.h"
#include "unit/state/temporary_folder.h"

namespace muster::admin {
namespace {

class PeersTest : public testing::Test {
protected:
    void SetUp() override {
        store_ = *state::SqliteStore::open(folder_.file("directory.db"));
        replica_ = state::Replica::of_store(*store_, store_->file());
        topology_ = std::make_unique<cluster::TopologyTable>(replica_, health_);
        config_.node.name = NodeName("fe1");
        identity_.masters = {{NodeName("joined"), "joined:7700", "pin"}};
    }
    void node(const std::string& name, bool master, bool eligible, bool revoked = false,
              cluster::NodeScope scope = cluster::NodeScope::Backend) {
        cluster::Node entry;
        entry.scope = scope;
        entry.name = NodeName(name);
        entry.master = master;
        entry.eligible = eligible;
        entry.revoked = revoked;
        entry.cluster = name + ".example.com:7700";
        entry.pin = "sha256//" + name;
        cluster::DirectoryWriter writer(*store_);
        const auto put = writer.put(entry);
        ASSERT_TRUE(put) << put.error().detail;
        ASSERT_TRUE(topology_->refresh());
    }
    [[nodiscard]] std::vector<std::string> masters() const {
        const Peers peers(config_, identity_, *topology_, {}, {});
        std::vector<std::string> names;
        for (const PeerAddress& peer : peers.masters()) names.push_back(peer.name.text);
        return names;
    }

    state::TemporaryFolder folder_;
    NodeConfig config_;
    NodeIdentity identity_;
    cluster::HealthTable health_{{}};
    std::unique_ptr<state::SqliteStore> store_;
    std::shared_ptr<state::Replica> replica_;
    std::unique_ptr<cluster::TopologyTable> topology_;
};

using Names = std::vector<std::string>;

TEST_F(PeersTest, WhoLeadsStandsBeforeWhoMay) {
    EXPECT_EQ(masters(), Names{"joined"});
    node("m3", true, false);
    node("m1", false, true);
    node("m2", false, true);
    node("sv1", false, false);
    node("gone", false, true, true);
    EXPECT_EQ(masters(), (Names{"m3", "m1", "m2"}));
    // Another one is promoted: the list is another one at once.
    node("m1", true, false);
    node("m3", false, true);
    EXPECT_EQ(masters(), (Names{"m1", "m2", "m3"}));
    config_.node.name = NodeName("m1");
    EXPECT_EQ(masters(), (Names{"m2", "m3"}));
}

TEST_F(PeersTest, WhatTheNodeFileNamesComesFirstWhileNobodyIsKnownToLead) {
    config_.cluster.masters = {"elsewhere:7700", "m2.example.com:7700"};
    EXPECT_EQ(masters(), (Names{"master", "master", "joined"}));
    node("m1", false, true);
    node("m2", false, true);
    EXPECT_EQ(masters(), (Names{"master", "m2", "m1"}));
    // A promotion is heeded by those whose file names the former master.
    node("m1", true, false);
    EXPECT_EQ(masters(), (Names{"m1", "m2", "master"}));
    node("m1", false, true);
    node("m2", true, false);
    EXPECT_EQ(masters(), (Names{"m2", "m1", "master"}));
}

TEST_F(PeersTest, ANodeDoesNotAskItself) {
    config_.cluster.listen = "10.0.0.1:7700";
    config_.cluster.advertise = "fe1.example.com:7700";
    config_.cluster.masters = {"10.0.0.1:7700", "fe1.example.com:7700", "elsewhere:7700"};
    EXPECT_EQ(masters(), (Names{"master", "joined"}));
}

TEST_F(PeersTest, FollowersAreNeverCalled) {
    node("m1", true, false);
    node("fe2", false, false, false, cluster::NodeScope::Frontend);
    node("mirror", false, false, false, cluster::NodeScope::Mirror);
    node("relay", false, false, false, cluster::NodeScope::Relay);
    const Peers peers(config_, identity_, *topology_, {}, {});
    Names others;
    for (const PeerAddress& peer : peers.others()) others.push_back(peer.name.text);
    EXPECT_EQ(others, (Names{"fe2", "m1"}));
    EXPECT_TRUE(peers.find(NodeName("fe2")));
    EXPECT_FALSE(peers.find(NodeName("relay")));
    EXPECT_FALSE(peers.find(NodeName("mirror")));
    EXPECT_EQ(masters(), Names{"m1"});
}

}  // namespace
}  // namespace muster::admin
