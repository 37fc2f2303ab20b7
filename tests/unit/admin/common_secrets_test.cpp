#include "admin/common_secrets.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "admin/files.h"
#include "cluster/credential_seal.h"
#include "state/sqlite_store.h"
#include "unit/state/temporary_folder.h"

namespace muster::admin {
namespace {

namespace fs = std::filesystem;

const std::string kSecret(kSealKeyBytes, 'k');

class CommonSecretsTest : public testing::Test {
protected:
    CommonSecretsTest()
        : store_(*state::SqliteStore::open(folder_.file("directory.db"))),
          replica_(state::Replica::of_store(*store_, store_->file())),
          topology_(replica_, health_) {
        node_.replica = replica_;
        node_.topology = &topology_;
        node_.identity.secret = std::string(kSealKeyBytes, 'o');  // of another cluster
        node_.config.mail.dkim_dir = folder_.file("keys");
    }
    void put(const std::string& key, const std::string& value) {
        ASSERT_TRUE(store_->commit(state::Transaction().put(key, value)));
        ASSERT_TRUE(topology_.refresh());
    }
    void put_secret(std::string_view name) {
        cluster::SharedSecret secret;
        secret.name = name;
        secret.current = {
            "one",
            cluster::sealed_password(std::string(kSealKeyBytes, 'x'), SealSecret::key(kSecret)),
            {}};
        put("secret/" + std::string(name), cluster::encode(secret));
    }
    void put_dkim_key(const std::string& pem) {
        put("dkim/a.test/s1", cluster::encode(cluster::DkimKey{
                                  DomainName("a.test"),
                                  "s1",
                                  cluster::sealed_password(pem, SealSecret::key(kSecret)),
                                  "v=DKIM1",
                                  {}}));
    }
    /// As the node does, now and then.
    void look(CommonSecrets& secrets) {
        secrets.follow(*topology_.current());
        if (secrets.begin_dkim_keys(*topology_.current())) secrets.write_dkim_keys();
    }
    static std::vector<std::string> troubles(const CommonSecrets& secrets) {
        std::vector<std::string> about;
        for (const Alarm& alarm : secrets.alarms()) about.push_back(alarm.about);
        return about;
    }

    state::TemporaryFolder folder_;
    cluster::HealthTable health_{{}};
    std::unique_ptr<state::SqliteStore> store_;
    std::shared_ptr<state::Replica> replica_;
    cluster::TopologyTable topology_;
    NodeContext node_;
};

using Names = std::vector<std::string>;

TEST_F(CommonSecretsTest, ASecretThatCannotBeOpenedIsAnAlarmUntilItCan) {
    put_secret(cluster::kTicketSecret);
    put_secret(cluster::kSrsSecret);
    CommonSecrets secrets(node_);
    look(secrets);
    EXPECT_EQ(troubles(secrets), (Names{"secret srs", "secret tickets"}));
    look(secrets);
    EXPECT_EQ(troubles(secrets), (Names{"secret srs", "secret tickets"}));
    node_.identity.secret = kSecret;
    look(secrets);  // nothing in the state has changed
    EXPECT_EQ(troubles(secrets), Names{});
}

TEST_F(CommonSecretsTest, KeysThatCannotBeWrittenAreTriedAgain) {
    node_.identity.secret = kSecret;
    std::ofstream(folder_.file("keys")) << "in the way";
    put_dkim_key("one");
    CommonSecrets secrets(node_);
    look(secrets);
    EXPECT_EQ(troubles(secrets), Names{"DKIM keys"});
    fs::remove(folder_.file("keys"));
    look(secrets);
    EXPECT_EQ(troubles(secrets), Names{});
    EXPECT_EQ(read_file(folder_.file("keys/a.test.s1.key")).value(), "one");
    EXPECT_FALSE(secrets.begin_dkim_keys(*topology_.current())) << "nothing to write";
}

TEST_F(CommonSecretsTest, OneWriterIsEnoughForWhatChangesMeanwhile) {
    node_.identity.secret = kSecret;
    put_dkim_key("one");
    CommonSecrets secrets(node_);
    ASSERT_TRUE(secrets.begin_dkim_keys(*topology_.current()));
    put_dkim_key("two");
    EXPECT_FALSE(secrets.begin_dkim_keys(*topology_.current())) << "somebody writes";
    secrets.write_dkim_keys();
    EXPECT_EQ(read_file(folder_.file("keys/a.test.s1.key")).value(), "two");
    EXPECT_FALSE(secrets.begin_dkim_keys(*topology_.current()));
}

}  // namespace
}  // namespace muster::admin
