// Look-ups over the own directory and those of followed networks.
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "cluster/directory.h"
#include "cluster/directory_writer.h"
#include "cluster/recipients.h"
#include "cluster/route.h"
#include "state/sqlite_store.h"
#include "unit/state/temporary_folder.h"

namespace muster::cluster {
namespace {

const NodeName kHere("edge1");
constexpr std::chrono::minutes kPatience{15};

/// A cluster's state, and a copy of it as a node has it.
class Site {
public:
    Site(const state::TemporaryFolder& folder, const std::string& name)
        : store_(state::SqliteStore::open(folder.path() / (name + ".db")).value()),
          writer_(*store_),
          replica_(state::Replica::of_store(*store_, store_->file())) {}

    void put(const std::string& key, const std::string& json) {
        ASSERT_TRUE(store_->commit(state::Transaction{}.put(key, json)));
    }
    void create(const std::string& address) {
        ASSERT_TRUE(writer_.create_account({.address = address}));
    }
    [[nodiscard]] const std::shared_ptr<state::Replica>& replica() const { return replica_; }

private:
    std::unique_ptr<state::SqliteStore> store_;
    DirectoryWriter writer_;
    std::shared_ptr<state::Replica> replica_;
};

class TwoDirectoriesTest : public testing::Test {
protected:
    TwoDirectoriesTest() : own_(folder_, "own"), hq_(folder_, "hq") {
        for (Site* site : {&own_, &hq_}) {
            site->put("server/sv1", R"({"host":"192.0.2.1","services":{"imap":{"port":143},)"
                                    R"("lmtp":{"port":24,"tls":"none"}},"login":"token"})");
        }
        own_.put("domain/own.org", R"({"servers":["sv1"]})");
        own_.put("domain/both.org", R"({"servers":["sv1"]})");
        hq_.put("domain/hq.org", R"({"servers":["sv1"]})");
        hq_.put("domain/both.org", R"({"servers":["sv1"]})");
        hq_.put("domain/one.org", R"({"kind":"local","node":"be1","servers":["sv1"]})");
        hq_.put("domain/far.org", R"({"kind":"remote","route":["192.0.2.7"]})");
        hq_.put("setting/postmaster", R"({"value":"kate@hq.org"})");
        own_.create("ada@own.org");
        own_.create("pete@both.org");
        hq_.create("kate@hq.org");
        hq_.create("mary@both.org");
        hq_.create("loki@one.org");
        hq_.put("alias/k@hq.org", R"({"to":["kate@hq.org"]})");
        hq_.put("alias/a@hq.org", R"({"to":["ada@own.org"]})");
        own_.put("alias/k@own.org", R"({"to":["k@hq.org"]})");
        own_.put("alias/gone@own.org", R"({"to":["gone@hq.org"]})");
        sources_ = {{.name = {}, .replica = own_.replica()},
                    {.name = "hq", .replica = hq_.replica(), .mode = SourceMode::Relay}};
        open();
    }

    void open() {
        table_ = std::make_unique<TopologyTable>(sources_, health_, exceptions_);
        directory_ = std::make_unique<Directory>(*table_);
    }

    std::string found(std::string_view login) {
        const auto located = directory_->locate(login, {});
        if (!located) return located.error().detail;
        return located->known ? located->address.text + " on " + located->home.text
                              : "unknown " + located->address.text;
    }
    std::string went(std::string_view login) {
        const auto located = directory_->locate(login, {});
        const auto result = route(*located, Service::Imap, kHere);
        return result ? result->server->server.name.text : result.error().detail;
    }
    std::string mail_goes(const std::string& local, const std::string& domain) {
        const auto found = find_recipient(*directory_, local, domain, "edge1.example");
        if (!found) return found.error().detail;
        if (found->verdict == MailVerdict::Foreign) return "foreign";
        if (found->verdict != MailVerdict::Accept) {
            return knows_all_addresses(*directory_, *found, kPatience) ? "unknown"
                                                                       : "not yet known";
        }
        std::string text;
        for (const MailTarget& target : found->targets) {
            (text += text.empty() ? "" : ", ") += target.address + " on " + target.home.text;
        }
        return text;
    }

    state::TemporaryFolder folder_;
    Site own_;
    Site hq_;
    HealthTable health_;
    DirectorySources sources_;
    std::shared_ptr<DomainExceptions> exceptions_ = std::make_shared<DomainExceptions>();
    std::unique_ptr<TopologyTable> table_;
    std::unique_ptr<Directory> directory_;
};

TEST_F(TwoDirectoriesTest, AnAccountIsReadWhereItsDomainIs) {
    EXPECT_EQ(found("ada@own.org"), "ada@own.org on sv1");
    EXPECT_EQ(found("Kate@HQ.org"), "kate@hq.org on sv1@hq");
    EXPECT_EQ(found("kate@own.org"), "unknown kate@own.org");
    const auto account = directory_->account(AccountAddress("kate@hq.org"));
    ASSERT_TRUE(account && *account);
    EXPECT_EQ((*account)->home.text, "sv1@hq");  // what sessions there are compared with
}

TEST_F(TwoDirectoriesTest, OfADomainThatBothHaveOnlyTheFirstCounts) {
    EXPECT_EQ(found("pete@both.org"), "pete@both.org on sv1");
    EXPECT_EQ(found("mary@both.org"), "unknown mary@both.org");
    ASSERT_EQ(table_->current()->parts().conflicts.size(), 1u);
    EXPECT_EQ(table_->current()->parts().conflicts[0].domain.text, "both.org");
}

TEST_F(TwoDirectoriesTest, AliasesLeadFromOneNetworkToAnother) {
    EXPECT_EQ(found("k@own.org"), "kate@hq.org on sv1@hq");
    EXPECT_EQ(found("a@hq.org"), "ada@own.org on sv1");
    EXPECT_EQ(mail_goes("k", "own.org"), "kate@hq.org on sv1@hq");
    EXPECT_EQ(mail_goes("a", "hq.org"), "ada@own.org on sv1");
}

TEST_F(TwoDirectoriesTest, AnAccountOfTheOtherNetworkIsKnownAtOnce) {
    EXPECT_EQ(mail_goes("new", "hq.org"), "unknown");
    hq_.create("new@hq.org");
    EXPECT_EQ(mail_goes("new", "hq.org"), "new@hq.org on sv1@hq");
    EXPECT_EQ(mail_goes("new+tag", "hq.org"), "new+tag@hq.org on sv1@hq");
}

TEST_F(TwoDirectoriesTest, MailMayGoToTheFrontEndsOfANetworkInsteadOfTheHome) {
    sources_[1].hand_to = HandTo::Master;
    open();
    EXPECT_EQ(mail_goes("k", "hq.org"), "kate@hq.org on @hq");
    EXPECT_EQ(mail_goes("nobody", "hq.org"), "unknown");
    EXPECT_EQ(found("kate@hq.org"), "kate@hq.org on sv1@hq");  // sessions go home
}

TEST_F(TwoDirectoriesTest, RemoteDomainsAreMirroredAndNotRelayed) {
    EXPECT_EQ(mail_goes("x", "far.org"), "foreign");
    sources_[1].mode = SourceMode::Mirror;
    open();
    EXPECT_EQ(mail_goes("x", "far.org"), "x@far.org on ");
    EXPECT_EQ(mail_goes("kate", "hq.org"), "foreign");
    EXPECT_EQ(table_->current()->domain("far.org")->route[0].name, "192.0.2.7");
}

TEST_F(TwoDirectoriesTest, ALocalDomainIsServedByItsNodeAloneAndItsMailAccepted) {
    EXPECT_EQ(went("kate@hq.org"), "sv1@hq");
    EXPECT_EQ(went("loki@one.org"), "domain-of-another-node");
    EXPECT_EQ(mail_goes("loki", "one.org"), "loki@one.org on sv1@hq");
    // A node here that has the same name as that one is another node.
    const auto located = directory_->locate("loki@one.org", {});
    EXPECT_FALSE(route(*located, Service::Imap, NodeName("be1")));
}

TEST_F(TwoDirectoriesTest, AChangeInOneDirectoryLeavesTheOthersAsTheyWere) {
    std::mutex mutex;
    std::condition_variable heard;
    bool has_both = false;
    table_->on_change([&](const std::shared_ptr<const Topology>& topology) {
        const std::scoped_lock lock(mutex);
        has_both = topology->domain("later.org") && topology->domain("last.org");
        heard.notify_all();
    });
    hq_.put("domain/later.org", R"({"servers":["sv1"]})");
    own_.put("domain/last.org", R"({"servers":["sv1"]})");
    {
        std::unique_lock lock(mutex);
        ASSERT_TRUE(heard.wait_for(lock, std::chrono::seconds(10), [&] { return has_both; }));
    }
    EXPECT_EQ(found("kate@hq.org"), "kate@hq.org on sv1@hq");
    EXPECT_EQ(found("ada@own.org"), "ada@own.org on sv1");
    EXPECT_EQ(table_->current()->parts().conflicts.size(), 1u);
    table_.reset();  // before what it calls
}

TEST_F(TwoDirectoriesTest, EachNetworkSaysWhoItsPostmasterIs) {
    EXPECT_EQ(mail_goes("postmaster", "hq.org"), "kate@hq.org on sv1@hq");
    EXPECT_EQ(mail_goes("postmaster", "own.org"), "unknown");
}

TEST_F(TwoDirectoriesTest, AServerThatOnlyTakesMasterLoginsCannotBeEntered) {
    hq_.put("server/sv1", R"({"kind":"foreign","host":"192.0.2.1","login":"master",)"
                          R"("services":{"imap":{"port":143},"lmtp":{"port":24}}})");
    ASSERT_TRUE(table_->refresh());
    EXPECT_EQ(went("kate@hq.org"), "home-takes-master-logins-only");
    EXPECT_EQ(mail_goes("kate", "hq.org"), "kate@hq.org on sv1@hq");
}

TEST_F(TwoDirectoriesTest, ExceptionsChangeDomainsOfAnyNetworkForThisNode) {
    exceptions_->replace(
        {{"hq.org", R"({"catch_all":"ada@own.org"})"}, {"own.org", R"({"mail":"no such mode"})"}});
    ASSERT_TRUE(table_->refresh());
    EXPECT_EQ(mail_goes("nobody", "hq.org"), "ada@own.org on sv1");
    EXPECT_EQ(found("ada@own.org"), "ada@own.org on sv1");  // as its directory has it
    EXPECT_TRUE(table_->current()->parts().misfits.contains("own.org"));
    EXPECT_EQ(table_->current()->parts().misfits.size(), 1u);
}

/// A network that was joined and has told nothing yet.
class UnfilledDirectoryTest : public TwoDirectoriesTest {
protected:
    UnfilledDirectoryTest() {
        std::filesystem::create_directory(folder_.path() / "networks");
        empty_ = state::Replica::of_folder(folder_.path() / "networks").value();
        sources_[1].replica = empty_;
        open();
    }
    std::shared_ptr<state::Replica> empty_;
};

TEST_F(UnfilledDirectoryTest, HasNoDomainsAndHindersNobody) {
    EXPECT_EQ(found("ada@own.org"), "ada@own.org on sv1");
    EXPECT_EQ(found("kate@hq.org"), "unknown kate@hq.org");
    // Nobody is told for good that it is not here.
    EXPECT_EQ(went("kate@hq.org"), "network-never-filled");
    EXPECT_FALSE(knows_all_domains(*table_->current()));
    EXPECT_FALSE(table_->current()->parts().networks[1].filled);
}

TEST_F(UnfilledDirectoryTest, IsServedFromTheMomentItsFirstCopyIsWhole) {
    empty_->serve(hq_.replica()->file());
    ASSERT_TRUE(table_->refresh());
    EXPECT_EQ(found("kate@hq.org"), "kate@hq.org on sv1@hq");
    EXPECT_TRUE(knows_all_domains(*table_->current()));
    // This process has not heard from that master: who is unknown may only be new.
    EXPECT_EQ(mail_goes("nobody", "hq.org"), "not yet known");
    EXPECT_EQ(mail_goes("gone", "own.org"), "not yet known");  // the alias leads there
    EXPECT_EQ(mail_goes("nobody", "own.org"), "unknown");
    empty_->heard(std::chrono::milliseconds{5'000});
    EXPECT_EQ(mail_goes("nobody", "hq.org"), "unknown");
}

}  // namespace
}  // namespace muster::cluster
