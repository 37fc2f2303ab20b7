#include "admin/node_admission.h"

#include <gtest/gtest.h>

#include "admin/peers.h"
#include "cluster/entry_codec.h"
#include "state/sqlite_store.h"
#include "unit/state/temporary_folder.h"

namespace muster::admin {
namespace {

using nlohmann::json;

class NodeAdmissionTest : public testing::Test {
protected:
    void SetUp() override {
        store_ = *state::SqliteStore::open(folder_.file("directory.db"));
        replica_ = state::Replica::of_store(*store_, store_->file());
        topology_ = std::make_unique<cluster::TopologyTable>(replica_, health_);
        node_.directory = store_.get();
        node_.topology = topology_.get();
        peers_ = std::make_unique<Peers>(node_.config, node_.identity, *topology_,
                                         net::HttpHeaders{}, Membership{});
        node_.peers = peers_.get();
    }
    Result<json> admit(const std::string& name, const std::string& pin,
                       const std::string& scope = "frontend") {
        return admit_node(node_, {{"name", name}, {"scope", scope}, {"cluster", "a.dom:7700"}},
                          {pin, false});
    }
    void put(const std::string& key, const std::string& value) {
        state::Transaction transaction;
        ASSERT_TRUE(store_->commit(transaction.put(key, value)));
    }
    std::string entry(const std::string& key) {
        const auto found = store_->get(key);
        return found && *found ? (*found)->value : "";
    }

    state::TemporaryFolder folder_;
    cluster::HealthTable health_{{}};
    std::unique_ptr<state::SqliteStore> store_;
    std::shared_ptr<state::Replica> replica_;
    std::unique_ptr<cluster::TopologyTable> topology_;
    NodeContext node_;
    std::unique_ptr<Peers> peers_;
};

TEST_F(NodeAdmissionTest, AKeyHasOneNameEvenBeforeTheTopologyKnowsIt) {
    ASSERT_TRUE(admit("fe1", "pin1"));
    const auto again = admit("fe2", "pin1");
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().kind, ErrorKind::Conflict);
    EXPECT_EQ(entry("node/fe2"), "");
    EXPECT_TRUE(admit("fe1", "pin1")) << "it comes again";
    EXPECT_TRUE(admit("fe2", "pin2"));
}

TEST_F(NodeAdmissionTest, ARevokedKeyIsFoundInAnEntryThatCannotBeDecoded) {
    put("node/fe1", R"({"scope":"of tomorrow","pin":"pin1","revoked":true})");
    const auto joined = admit("fe2", "pin1");
    ASSERT_FALSE(joined);
    EXPECT_EQ(joined.error().kind, ErrorKind::Refused);
}

TEST_F(NodeAdmissionTest, AnEntryThatCannotBeDecodedIsNotOverwritten) {
    const std::string strange = R"({"scope":"of tomorrow","pin":"pin1"})";
    put("node/fe1", strange);
    for (const char* pin : {"pin1", "pin2"}) {
        const auto joined = admit("fe1", pin);
        ASSERT_FALSE(joined) << pin;
        EXPECT_EQ(joined.error().kind, ErrorKind::Conflict);
    }
    EXPECT_EQ(entry("node/fe1"), strange);
}

TEST_F(NodeAdmissionTest, AFollowerHasNoAddress) {
    ASSERT_TRUE(admit("fe1", "pin1"));
    ASSERT_TRUE(admit("br1", "pin2", "relay"));
    EXPECT_EQ(cluster::decode_node("fe1", entry("node/fe1"))->cluster, "a.dom:7700");
    EXPECT_EQ(cluster::decode_node("br1", entry("node/br1"))->cluster, "");
}

}  // namespace
}  // namespace muster::admin
