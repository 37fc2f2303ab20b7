#include "delivery/sender_rewriting.h"

#include <gtest/gtest.h>

#include "state/sqlite_store.h"
#include "unit/state/temporary_folder.h"
#include "wire/srs.h"

namespace muster::delivery {
namespace {

using cluster::MailVerdict;

class SenderRewritingTest : public testing::Test {
protected:
    SenderRewritingTest() {
        EXPECT_TRUE(store_->commit(
            state::Transaction{}
                .put("server/sv1", R"({"host":"192.0.2.1"})")
                .put("domain/ours.org", R"({"servers":["sv1"]})")
                .put("domain/remote.org", R"({"kind":"remote"})")
                .put("account/kate@ours.org", R"({"id":"k1","home":"sv1"})")
                .put("alias/out@ours.org", R"({"to":["x@world.org","y@remote.org"]})")));
        rewriting_.use({.domain = "srs.ours.org", .keys = {"current", "previous"}});
        EXPECT_TRUE(topology_.refresh());
    }

    std::string forwarded(const std::string& sender) {
        return rewriting_.forwarded(*directory_.topology(), sender);
    }
    Result<cluster::MailRoute> find(std::string_view address) {
        const auto path = wire::smtp::parse_address(address);
        EXPECT_TRUE(path) << address;
        return find_mail_route(directory_, &rewriting_, *path, "mx.ours.org");
    }

    const state::TemporaryFolder folder_;
    std::unique_ptr<state::SqliteStore> store_ =
        state::SqliteStore::open(folder_.path() / "directory.db").value();
    std::shared_ptr<state::Replica> replica_ = state::Replica::of_store(*store_, store_->file());
    cluster::HealthTable health_{{}};
    SenderRewriting rewriting_;
    cluster::TopologyTable topology_{replica_, health_};
    cluster::Directory directory_{topology_};
};

TEST_F(SenderRewritingTest, StrangersAreRewrittenAndFoundAgain) {
    const std::string made = forwarded("a@world.org");
    ASSERT_TRUE(made.ends_with("=world.org=a@srs.ours.org")) << made;
    const auto route = find(made);
    ASSERT_TRUE(route);
    EXPECT_EQ(route->verdict, MailVerdict::Accept);
    EXPECT_EQ(route->domain, nullptr);
    ASSERT_EQ(route->targets.size(), 1u);
    EXPECT_EQ(route->targets.front().address, "a@world.org");
    EXPECT_TRUE(is_forwarded(*route, route->targets.front()));
    EXPECT_EQ(find(forwarded("\"a b\"@world.org"))->targets.front().address, "\"a b\"@world.org");
}

TEST_F(SenderRewritingTest, OwnSendersAndNobodyStay) {
    for (const char* sender : {"", "kate@ours.org", "Kate@OURS.org", "x@srs.ours.org",
                               "SRS0=AAAAAA=AA=b.org=x@SRS.ours.org"}) {
        EXPECT_EQ(forwarded(sender), sender);
    }
    EXPECT_NE(forwarded("x@remote.org"), "x@remote.org") << "we are not its sender";
}

TEST_F(SenderRewritingTest, AnAddressMayLeadToAnAccountOrARemoteDomainMeanwhile) {
    const auto make = [](const char* sender) {
        const auto path = *wire::smtp::parse_address(sender);
        const auto days = std::chrono::floor<std::chrono::days>(
            std::chrono::system_clock::now().time_since_epoch());
        return wire::srs::forwarded(path, "srs.ours.org", "previous",
                                    static_cast<std::uint64_t>(days.count()))
            ->text();
    };
    const auto account = find(make("kate@ours.org"));
    ASSERT_TRUE(account);
    EXPECT_EQ(account->targets.front().home.text, "sv1");
    const auto remote = find(make("z@remote.org"));
    ASSERT_TRUE(remote);
    EXPECT_EQ(remote->targets.front().address, "z@remote.org");
    EXPECT_FALSE(is_forwarded(*remote, remote->targets.front()));
    EXPECT_EQ(find(make("nobody@ours.org"))->verdict, MailVerdict::Unknown);
}

TEST_F(SenderRewritingTest, ForgedOnesAreNobodys) {
    const auto route = find("SRS0=AAAAAA=AA=world.org=a@srs.ours.org");
    ASSERT_TRUE(route);
    EXPECT_EQ(route->verdict, MailVerdict::Unknown);
    EXPECT_TRUE(route->targets.empty());
}

TEST_F(SenderRewritingTest, OnlyReportsMayGoToWhatLooksRewritten) {
    const auto for_reports = [this](const std::string& address) {
        return is_for_reports(&rewriting_, *wire::smtp::parse_address(address));
    };
    EXPECT_TRUE(for_reports(forwarded("a@world.org")));
    EXPECT_TRUE(for_reports("srs1+x@SRS.ours.org"));
    EXPECT_FALSE(for_reports("SRS0=AAAAAA=AA=world.org=a@elsewhere.org"));
    EXPECT_FALSE(for_reports("kate@srs.ours.org"));
    EXPECT_FALSE(is_for_reports(nullptr, *wire::smtp::parse_address("SRS0=x@srs.ours.org")));
    rewriting_.use({});
    EXPECT_FALSE(for_reports("SRS0=x@srs.ours.org"));
}

TEST_F(SenderRewritingTest, OtherAddressesAreAsEver) {
    EXPECT_EQ(find("SRS0=AAAAAA=AA=world.org=a@elsewhere.org")->verdict, MailVerdict::Foreign);
    EXPECT_EQ(find("x@srs.ours.org")->verdict, MailVerdict::Foreign);
    const auto alias = find("out@ours.org");
    ASSERT_EQ(alias->targets.size(), 2u);
    EXPECT_TRUE(is_forwarded(*alias, alias->targets[0]));
    EXPECT_FALSE(is_forwarded(*alias, alias->targets[1])) << "it takes its mail from us";
    const auto direct = find("x@world.org");
    EXPECT_FALSE(is_forwarded(*direct, direct->targets.front()));
}

TEST_F(SenderRewritingTest, BeforeThereIsASecretNothingIsMadeOrToldApart) {
    const std::string made = forwarded("a@world.org");
    rewriting_.use({.domain = "srs.ours.org", .keys = {}});
    EXPECT_EQ(forwarded("a@world.org"), "a@world.org");
    EXPECT_EQ(find(made).error().kind, ErrorKind::Unavailable);
    rewriting_.use({});
    EXPECT_EQ(forwarded("a@world.org"), "a@world.org");
    EXPECT_EQ(find(made)->verdict, MailVerdict::Foreign);
}

}  // namespace
}  // namespace muster::delivery
