#include "cluster/directory.h"

#include <gtest/gtest.h>

#include <condition_variable>

#include "cluster/directory_writer.h"
#include "cluster/entry_keys.h"
#include "state/sqlite_store.h"
#include "unit/state/temporary_folder.h"

namespace muster::cluster {
namespace {

class DirectoryTest : public testing::Test {
protected:
    DirectoryTest()
        : store_(state::SqliteStore::open(folder_.path() / "directory.db").value()),
          writer_(*store_),
          replica_(state::Replica::of_store(*store_, store_->file())) {
        Server server;
        server.name = ServerName("sv1");
        server.host = "192.0.2.1";
        EXPECT_TRUE(writer_.put(server));
        Domain domain;
        domain.name = DomainName("d.org");
        domain.servers = {ServerName("sv1")};
        domain.tls_names = {DomainName("mail.d.org")};
        EXPECT_TRUE(writer_.put(domain));
        domain.name = DomainName("xn--bcher-kva.example");
        domain.tls_names.clear();
        domain.case_policy = CasePolicy::Keep;
        EXPECT_TRUE(writer_.put(domain));
        create("kate@d.org");
        create("Ada@xn--bcher-kva.example");
        EXPECT_TRUE(writer_.set_alias("k@d.org", {"kate@d.org"}));
        EXPECT_TRUE(writer_.set_alias("all@d.org", {"kate@d.org", "x@elsewhere.example"}));
        topology_ = std::make_unique<TopologyTable>(replica_, health_);
        directory_ = std::make_unique<Directory>(*topology_);
    }

    void create(const std::string& address) {
        ASSERT_TRUE(writer_.create_account({.address = address}));
    }

    std::string found(std::string_view login, const LoginContext& context = {}) {
        const auto located = directory_->locate(login, context);
        if (!located) return "error: " + std::string(name(located.error().kind));
        return located->known ? located->address.text + " on " + located->home.text
                              : "unknown " + located->address.text;
    }

    state::TemporaryFolder folder_;
    std::unique_ptr<state::SqliteStore> store_;
    DirectoryWriter writer_;
    std::shared_ptr<state::Replica> replica_;
    HealthTable health_;
    std::unique_ptr<TopologyTable> topology_;
    std::unique_ptr<Directory> directory_;
};

TEST_F(DirectoryTest, FindsAnAccountByAnyOfItsNames) {
    EXPECT_EQ(found("kate@d.org"), "kate@d.org on sv1");
    EXPECT_EQ(found("KATE@D.org"), "kate@d.org on sv1");
    EXPECT_EQ(found("K@d.org"), "kate@d.org on sv1");
    EXPECT_EQ(found("Ada@Bücher.example"), "Ada@xn--bcher-kva.example on sv1");
    EXPECT_EQ(found("kate", {.tls_name = "mail.d.org"}), "kate@d.org on sv1");
    EXPECT_EQ(found("kate", {.default_domain = "d.org"}), "kate@d.org on sv1");
}

TEST_F(DirectoryTest, UnknownNamesAreAnAnswer) {
    EXPECT_EQ(found("pete@d.org"), "unknown pete@d.org");
    EXPECT_EQ(found("kate@nowhere.org"), "unknown kate@nowhere.org");
    EXPECT_EQ(found("kate"), "unknown kate");
    EXPECT_EQ(found("all@d.org"), "unknown all@d.org");  // a list is nobody's login
    EXPECT_EQ(found("ada@bücher.example"), "unknown ada@xn--bcher-kva.example");
    EXPECT_EQ(found("a b@d.org"), "error: syntax");
    EXPECT_EQ(found(""), "error: syntax");
}

TEST_F(DirectoryTest, SeesChangesOfAccountsAtOnce) {
    EXPECT_EQ(found("new@d.org"), "unknown new@d.org");
    create("new@d.org");
    EXPECT_EQ(found("new@d.org"), "new@d.org on sv1");
    ASSERT_TRUE(writer_.change_account(AccountAddress("new@d.org"), {.disabled = true}));
    EXPECT_TRUE(directory_->locate("new@d.org", {})->disabled);
}

TEST_F(DirectoryTest, ReadsWholeAccountsAndKeys) {
    ASSERT_TRUE(writer_.set_password(AccountAddress("kate@d.org"), "secret"));
    const auto account = directory_->account(AccountAddress("k@d.org"));
    ASSERT_TRUE(account && *account);
    EXPECT_EQ((*account)->address.text, "kate@d.org");
    EXPECT_EQ((*directory_->password_keys((*account)->id))->keys.size(), 1u);
    EXPECT_FALSE(directory_->account(AccountAddress("pete@d.org"))->has_value());
}

TEST_F(DirectoryTest, ARowOfANewerVersionIsNotUnknownAndNoDamage) {
    ASSERT_TRUE(store_->commit(state::Transaction{}.put("account/bad@d.org", R"({"home":"x"})")));
    EXPECT_EQ(found("bad@d.org"), "error: unavailable");
    EXPECT_FALSE(replica_->damaged());
    replica_->report_unreadable("account/bad@d.org", R"({"home":"x)", "why");
    EXPECT_TRUE(replica_->damaged());
}

TEST_F(DirectoryTest, NamesOfADomainOfANewerVersionAreNotUnknown) {
    ASSERT_TRUE(store_->commit(state::Transaction{}
                                   .put("domain/later.org", R"({"kind":"quantum"})")
                                   .put("alias/on@d.org", R"({"to":["kate@later.org"]})")));
    ASSERT_TRUE(topology_->refresh());
    EXPECT_EQ(found("kate@later.org"), "error: unavailable");
    EXPECT_EQ(found("kate", {.default_domain = "later.org"}), "error: unavailable");
    EXPECT_EQ(found("on@d.org"), "error: unavailable");
    EXPECT_EQ(found("kate", {.default_domain = "nowhere.org"}), "unknown kate");
}

/// Waits until a snapshot fulfils a condition.
class SnapshotWaiter {
public:
    explicit SnapshotWaiter(std::function<bool(const Topology&)> wanted)
        : wanted_(std::move(wanted)) {}
    void look(const Topology& topology) {
        const std::scoped_lock lock(mutex_);
        seen_ = seen_ || wanted_(topology);
        condition_.notify_all();
    }
    bool wait() {
        std::unique_lock lock(mutex_);
        return condition_.wait_for(lock, std::chrono::seconds(10), [this] { return seen_; });
    }

private:
    std::function<bool(const Topology&)> wanted_;
    std::mutex mutex_;
    std::condition_variable condition_;
    bool seen_ = false;
};

TEST_F(DirectoryTest, TheTopologyFollowsTheReplica) {
    const auto before = directory_->topology();
    SnapshotWaiter waiter([](const Topology& topology) {
        return topology.server("sv1")->server.admin == AdminState::Drain;
    });
    topology_->on_change([&](const auto& topology) { waiter.look(*topology); });
    Server server = before->server("sv1")->server;
    server.admin = AdminState::Drain;
    ASSERT_TRUE(writer_.put(server));
    ASSERT_TRUE(waiter.wait());
    EXPECT_EQ(before->server("sv1")->server.admin, AdminState::Up);  // snapshots never change
    EXPECT_EQ(directory_->topology()->server("sv1")->server.admin, AdminState::Drain);
    topology_.reset();
}

TEST_F(DirectoryTest, OneUnreadableServerDoesNotHideTheOthers) {
    ASSERT_TRUE(store_->commit(state::Transaction{}.put("server/bad", R"({"host":7})")));
    ASSERT_TRUE(topology_->refresh());
    EXPECT_FALSE(directory_->topology()->server("bad"));
    EXPECT_TRUE(directory_->topology()->server("sv1"));
}

TEST_F(DirectoryTest, SettingsAreTyped) {
    ASSERT_TRUE(writer_.put(Setting{"limit", "12", {}}));
    ASSERT_TRUE(writer_.put(Setting{"banner", R"("hello")", {}}));
    ASSERT_TRUE(topology_->refresh());
    const auto topology = directory_->topology();
    EXPECT_EQ(topology->setting_number("limit", 1), 12u);
    EXPECT_EQ(topology->setting_number("banner", 1), 1u);
    EXPECT_EQ(topology->setting_text("banner", "x"), "hello");
    EXPECT_EQ(topology->setting_text("none", "x"), "x");
}

TEST(EmptyReplica, CanSayNothingOfAnyName) {
    const state::TemporaryFolder folder;
    const auto replica = state::Replica::of_folder(folder.path()).value();
    HealthTable health;
    const TopologyTable topology(replica, health);
    Directory directory(topology);
    EXPECT_EQ(directory.locate("kate@d.org", {}).error().kind, ErrorKind::Unavailable);
    EXPECT_TRUE(directory.topology()->servers().empty());
}

}  // namespace
}  // namespace muster::cluster
