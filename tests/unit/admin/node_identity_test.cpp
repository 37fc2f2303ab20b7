#include "admin/node_identity.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "admin/files.h"
#include "admin/node_admission.h"
#include "net/pki.h"

namespace muster::admin {
namespace {

class NodeIdentityTest : public testing::Test {
protected:
    NodeIdentityTest() {
        std::string path = std::filesystem::temp_directory_path() / "muster-identity-XXXXXX";
        folder_ = mkdtemp(path.data());
    }
    ~NodeIdentityTest() override { std::filesystem::remove_all(folder_); }
    std::string folder_;
};

TEST_F(NodeIdentityTest, ComesBackAsItWasAndKeepsSecretsToItself) {
    NodeIdentity identity = new_identity(NodeName("m1"));
    ASSERT_TRUE(found_cluster(identity));
    identity.masters = {{NodeName("m1"), "192.0.2.1:7700", identity.pin}};
    EXPECT_FALSE(has_identity(folder_));
    EXPECT_FALSE(load_identity(folder_));
    ASSERT_TRUE(save_identity(folder_, identity));
    const auto loaded = load_identity(folder_);
    ASSERT_TRUE(loaded) << loaded.error().detail;
    EXPECT_EQ(loaded->pin, identity.pin);
    EXPECT_EQ(loaded->secret, identity.secret);
    EXPECT_EQ(loaded->masters.at(0).cluster, "192.0.2.1:7700");
    EXPECT_EQ(loaded->authority_key, identity.authority_key);
    for (const char* name : {"/node.key", "/cluster.json", "/authority.key"}) {
        struct stat status{};
        ASSERT_EQ(stat((folder_ + name).c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777U, 0600U) << name;
    }
}

TEST_F(NodeIdentityTest, SaysWhatIsDamaged) {
    ASSERT_TRUE(write_file(folder_ + "/cluster.json", "{}"));
    ASSERT_TRUE(write_file(folder_ + "/node.key", net::make_key()));
    ASSERT_TRUE(write_file(folder_ + "/node.crt", "x"));
    const auto loaded = load_identity(folder_);
    ASSERT_FALSE(loaded);
    EXPECT_NE(loaded.error().detail.find("cluster.json"), std::string::npos);
}

TEST_F(NodeIdentityTest, OnlyAMasterIssuesCertificates) {
    NodeIdentity identity = new_identity(NodeName("m1"));
    EXPECT_FALSE(issue_certificate(identity, identity.key, "a", {}));
    ASSERT_TRUE(found_cluster(identity));
    const auto issued = issue_certificate(identity, identity.key, "a", {"a.example.com"});
    ASSERT_TRUE(issued);
    EXPECT_TRUE(net::belong_together(*issued, identity.key));
}

TEST(JoinToken, OnlyItsDigestIsKept) {
    const JoinToken token = make_token("fe1", "frontend", 1);
    EXPECT_EQ(token.text.size(), 32U);
    EXPECT_EQ(token.key.find(token.text), std::string::npos);
    EXPECT_EQ(token.value.dump().find(token.text), std::string::npos);
    EXPECT_NE(make_token("fe1", "frontend", 1).text, token.text);
}

}  // namespace
}  // namespace muster::admin
