#include "admin/mail_system.h"

#include <gtest/gtest.h>

namespace muster::admin {
namespace {

TEST(MailSystem, WhoIsRevokedOrReplacedIsPutOut) {
    cluster::Node revoked;
    revoked.name = NodeName("fe1");
    revoked.pin = "pin1";
    revoked.revoked = true;
    cluster::Node member;
    member.name = NodeName("fe2");
    member.pin = "pin2";
    cluster::Node keyless;
    keyless.name = NodeName("fe3");
    cluster::TopologyParts parts;
    parts.nodes = {revoked, member, keyless};
    cluster::HealthTable health;
    const cluster::Topology topology(parts, health);
    EXPECT_FALSE(why_no_member(topology, NodeName("fe1"), "pin1").empty());
    EXPECT_FALSE(why_no_member(topology, NodeName("fe2"), "pin1").empty());
    EXPECT_TRUE(why_no_member(topology, NodeName("fe2"), "pin2").empty());
    EXPECT_TRUE(why_no_member(topology, NodeName("fe3"), "pin3").empty());
    EXPECT_TRUE(why_no_member(topology, NodeName("fe4"), "pin4").empty());
}

}  // namespace
}  // namespace muster::admin
