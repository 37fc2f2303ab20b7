#include "admin/open_cluster.h"

#include <gtest/gtest.h>

#include "admin/node_file.h"

namespace muster::admin {
namespace {

constexpr std::string_view kNode = "[node]\nname = \"m1\"\nroles = [\"master\"]\n";

TEST(OpenCluster, AddsTheSectionWhereThereIsNone) {
    const std::string text =
        with_cluster_open(kNode, {"0.0.0.0:7700", "m1.dom:7700", {"10.0.0.0/8"}});
    const auto config = parse_node_file(text, "f.toml");
    ASSERT_TRUE(config) << config.error().detail << text;
    EXPECT_EQ(config->cluster.listen, "0.0.0.0:7700");
    EXPECT_EQ(config->cluster.advertise, "m1.dom:7700");
    EXPECT_EQ(config->cluster.allow, std::vector<std::string>{"10.0.0.0/8"});
    EXPECT_TRUE(text.starts_with(kNode));
}

TEST(OpenCluster, ReplacesWhatIsThereAndKeepsTheRest) {
    const std::string before =
        "# mine\n[cluster]\n# who\nallow = [ # all\n  \"192.0.2.1\",\n]\n"
        "absent_after = 9 # s\n  listen=\"127.0.0.1:1\"\n" +
        std::string(kNode) + "[admin]\nlisten = \"127.0.0.1:8080\"\n";
    const std::string text = with_cluster_open(before, {"0.0.0.0:7700", "", {"10.0.0.0/8", "::1"}});
    const auto config = parse_node_file(text, "f.toml");
    ASSERT_TRUE(config) << config.error().detail << text;
    EXPECT_EQ(config->cluster.listen, "0.0.0.0:7700");
    EXPECT_EQ(config->cluster.allow, (std::vector<std::string>{"10.0.0.0/8", "::1"}));
    EXPECT_EQ(config->cluster.absent_after, std::chrono::seconds(9));
    EXPECT_EQ(config->admin.listen, "127.0.0.1:8080");
    EXPECT_NE(text.find("# mine\n"), text.npos);
    EXPECT_EQ(with_cluster_open(text, {"0.0.0.0:7700", "", {"10.0.0.0/8", "::1"}}), text);
    const auto kept = parse_node_file(with_cluster_open(before, {"0.0.0.0:7700", "", {}}), "f");
    ASSERT_TRUE(kept);
    EXPECT_EQ(kept->cluster.allow, std::vector<std::string>{"192.0.2.1"});
}

}  // namespace
}  // namespace muster::admin
