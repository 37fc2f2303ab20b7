#include "admin/leaders.h"

#include <gtest/gtest.h>

namespace muster::admin {
namespace {

cluster::Node node(const char* name, bool master, bool eligible) {
    cluster::Node node;
    node.name = NodeName(name);
    node.cluster = std::string(name) + ".hq.test:7700";
    node.pin = std::string("sha256//") + name;
    node.master = master;
    node.eligible = eligible;
    return node;
}

FollowSettings network() {
    FollowSettings network;
    network.name = "hq";
    network.host = "hq.test";
    network.port = 7700;
    return network;
}

std::vector<std::string> names(const std::vector<PeerAddress>& peers) {
    std::vector<std::string> names;
    for (const PeerAddress& peer : peers) names.push_back(peer.name.text);
    return names;
}

using Names = std::vector<std::string>;

const std::vector<PeerAddress> kJoined{{NodeName("old"), "hq.test:7700", "sha256//old"}};

TEST(Leaders, WhoLeadsThenWhoMayAndNobodyElse) {
    std::vector nodes{node("a", false, true),       node("b", true, true),
                      node("c", false, false),      node("gone", true, true),
                      node("keyless", true, false), node("self", false, true)};
    nodes[3].revoked = true;
    nodes[4].pin.clear();
    EXPECT_EQ(names(leaders_of(nodes, NodeName("self"))), (Names{"b", "a"}));
}

TEST(Leaders, WhoLedAtTheJoinIsTrustedOnlyWhileTheStateNamesNobody) {
    EXPECT_EQ(read_order(network(), {}, kJoined).front().pin, "sha256//old");
    const auto leaders =
        leaders_of({node("m1", true, false), node("m2", false, true)}, NodeName("fe1"));
    const auto order = read_order(network(), leaders, kJoined);
    EXPECT_EQ(order.front().pin, "sha256//m1;sha256//m2") << "the old one may be revoked by now";
    EXPECT_EQ(names(order), (Names{"hq", "m1", "m2"}));
}

TEST(Leaders, TheAddressOfTheNodeFileIsTriedOnce) {
    auto master = node("m1", true, false);
    master.cluster = "hq.test:7700";
    auto nowhere = node("m2", false, true);
    nowhere.cluster.clear();
    const auto leaders = leaders_of({master, nowhere}, NodeName("fe1"));
    EXPECT_EQ(names(read_order(network(), leaders, {})), Names{"hq"});
}

TEST(Leaders, WithoutEncryptionThereIsTheAddressOfTheNodeFileAlone) {
    FollowSettings clear = network();
    clear.encryption = false;
    const auto leaders = leaders_of({node("m1", true, false)}, NodeName("fe1"));
    const auto order = read_order(clear, leaders, kJoined);
    EXPECT_EQ(names(order), Names{"hq"});
    EXPECT_EQ(order.front().pin, "sha256//m1");
}

}  // namespace
}  // namespace muster::admin
