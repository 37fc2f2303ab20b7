#include "admin/password_joins.h"

#include <gtest/gtest.h>

#include "cluster/directory_writer.h"
#include "state/sqlite_store.h"
#include "unit/state/temporary_folder.h"

namespace muster::admin {
namespace {

using nlohmann::json;

class PasswordJoinsTest : public testing::Test {
protected:
    PasswordJoinsTest()
        : store_(*state::SqliteStore::open(folder_.file("directory.db"))),
          replica_(state::Replica::of_store(*store_, store_->file())),
          topology_(replica_, health_) {
        node_.directory = store_.get();
        node_.topology = &topology_;
        node_.identity.secret = std::string(32, 's');
        node_.identity.pin = "sha256//master";
    }
    void administrator(const std::string& name, const std::string& key) {
        cluster::Administrator entry;
        entry.name = name;
        entry.keys = {key};
        const auto put = cluster::DirectoryWriter(*store_).put(entry);
        ASSERT_TRUE(put) << put.error().detail;
    }
    /// What a stranger is told who claims to be this one.
    Error refusal(const std::string& user) {
        const JoinCaller caller{"sha256//node", false};
        ScramClient client(user, "guessed", "nonce");
        json wish{{"name", "fe1"}, {"scope", "frontend"}, {"scram", client.first()}};
        const std::string asked = R"({"name":"fe1","scope":"frontend"})";
        const auto begun = joins_.begin(wish, caller);
        if (!begun) return begun.error();
        const auto proof = client.final((*begun)["scram"].get<std::string>(),
                                        join_binding_data("sha256//master", caller.pin, asked));
        if (!proof) return proof.error();
        json last{{"scram", *proof}};
        const auto joined = joins_.finish(last, caller);
        EXPECT_FALSE(joined);
        return joined ? Error{} : joined.error();
    }

    state::TemporaryFolder folder_;
    cluster::HealthTable health_{{}};
    std::unique_ptr<state::SqliteStore> store_;
    std::shared_ptr<state::Replica> replica_;
    cluster::TopologyTable topology_;
    NodeContext node_;
    PasswordJoins joins_{node_};
};

TEST_F(PasswordJoinsTest, WhoIsAnAdministratorIsNotSaidToStrangers) {
    administrator("root", *make_scram_sha256("secret"));
    administrator("old", "{SHA512-CRYPT}$6$salt$hash");
    const Error unknown = refusal("nobody");
    EXPECT_EQ(unknown.public_text, "administrator's name or password is wrong");
    for (const char* user : {"root", "old"}) {
        const Error known = refusal(user);
        EXPECT_EQ(known.kind, unknown.kind) << user;
        EXPECT_EQ(known.public_text, unknown.public_text) << user;
    }
    EXPECT_EQ(refusal("root").detail, unknown.detail);
    // For the log and the audit log.
    EXPECT_TRUE(refusal("old").detail.contains("muster administrator set old"));
}

}  // namespace
}  // namespace muster::admin
