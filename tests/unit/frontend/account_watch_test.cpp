#include "frontend/account_watch.h"

#include <gtest/gtest.h>

#include <deque>

#include "cluster/directory_writer.h"
#include "state/sqlite_store.h"
#include "unit/state/temporary_folder.h"

namespace muster::frontend {
namespace {

struct FakeSession final : cluster::Kickable {
    void kick(std::string_view) override {}
};

class AccountWatchTest : public testing::Test {
protected:
    AccountWatchTest()
        : store_(state::SqliteStore::open(folder_.path() / "directory.db").value()),
          writer_(*store_) {
        for (const char* name : {"sv1", "sv2"}) {
            cluster::Server server;
            server.name = ServerName(name);
            server.host = "192.0.2.1";
            EXPECT_TRUE(writer_.put(server));
        }
        cluster::Domain domain;
        domain.name = DomainName("d.org");
        domain.servers = {ServerName("sv1"), ServerName("sv2")};
        EXPECT_TRUE(writer_.put(domain));
        replica_ = state::Replica::of_store(*store_, store_->file());
        topology_ = std::make_unique<cluster::TopologyTable>(replica_, health_);
        watch_ = std::make_unique<AccountWatch>(
            *topology_, sessions_,
            [this](cluster::SessionHandle handle, const std::string& reason) {
                const std::scoped_lock lock(mutex_);
                kicked_.push_back(std::to_string(handle.slot) + " " + reason);
                woken_.notify_one();
            });
    }

    cluster::SessionInfo enter(const std::string& address) {
        const auto account =
            writer_.create_account({.address = address, .home = ServerName("sv1")}).value();
        return enter(account);
    }
    cluster::SessionInfo enter(const cluster::Account& account) {
        cluster::SessionInfo info;
        info.account = account.address;
        info.account_id = account.id;
        info.server = account.home;
        EXPECT_TRUE(sessions_.shard(0).insert(info, session_));
        return info;
    }
    /// The next session that is ended, and why.
    std::string kicked() {
        std::unique_lock lock(mutex_);
        if (!woken_.wait_for(lock, std::chrono::seconds(20), [&] { return !kicked_.empty(); })) {
            return "nobody";
        }
        std::string first = kicked_.front();
        kicked_.pop_front();
        return first;
    }

    state::TemporaryFolder folder_;
    std::unique_ptr<state::SqliteStore> store_;
    cluster::DirectoryWriter writer_;
    std::shared_ptr<state::Replica> replica_;
    cluster::HealthTable health_;
    std::unique_ptr<cluster::TopologyTable> topology_;
    cluster::SessionTable sessions_{1, 100};
    FakeSession session_;
    std::mutex mutex_;
    std::condition_variable woken_;
    std::deque<std::string> kicked_;
    std::unique_ptr<AccountWatch> watch_;
};

TEST_F(AccountWatchTest, EndsSessionsOfWhomTheReplicaNoLongerLetsIn) {
    for (const char* name : {"off", "gone", "moved", "stays", "namesake"}) {
        enter(std::string(name) + "@d.org");
    }
    watch_->start();
    ASSERT_TRUE(writer_.change_account(AccountAddress("stays@d.org"), {.quota = 7}));
    ASSERT_TRUE(writer_.change_account(AccountAddress("off@d.org"), {.disabled = true}));
    EXPECT_EQ(kicked(), "0 disabled");
    ASSERT_TRUE(writer_.delete_account(AccountAddress("gone@d.org")));
    EXPECT_EQ(kicked(), "1 removed");
    ASSERT_TRUE(writer_.change_account(AccountAddress("moved@d.org"), {.home = ServerName("sv2")}));
    EXPECT_EQ(kicked(), "2 moved");
    EXPECT_TRUE(kicked_.empty());
}

TEST_F(AccountWatchTest, LooksAtAllAfterMoreThanCanBeTold) {
    const auto info = enter("gone@d.org");
    enter("stays@d.org");
    ASSERT_TRUE(writer_.delete_account(info.account));
    watch_->start();
    auto load = store_->bulk({});
    ASSERT_TRUE(load->add("alias/x@d.org", R"({"to":["y@e.org"]})"));
    ASSERT_TRUE(load->finish());
    EXPECT_EQ(kicked(), "0 removed");
}

TEST_F(AccountWatchTest, ALoginThatWasOvertakenIsLookedAtAgain) {
    watch_->start();
    const auto account =
        writer_.create_account({.address = "late@d.org", .home = ServerName("sv1")}).value();
    const std::uint64_t seen = watch_->changes();
    ASSERT_TRUE(writer_.change_account(account.address, {.disabled = true}));
    // Nothing stands in the table until it has been looked through.
    ASSERT_TRUE(writer_.change_account(account.address, {.quota = 7}));
    enter(account);
    watch_->entered(account.address, seen);
    EXPECT_EQ(kicked(), "0 disabled");
    const std::uint64_t now = watch_->changes();
    watch_->entered(account.address, now);  // nothing has changed: nobody looks
    EXPECT_TRUE(kicked_.empty());
}

}  // namespace
}  // namespace muster::frontend
