#include "mx/mail_maps.h"

#include <gtest/gtest.h>

#include "cluster/directory_writer.h"
#include "mx/socketmap_session.h"
#include "state/sqlite_store.h"
#include "unit/net/scripted_stream.h"
#include "unit/state/temporary_folder.h"

namespace muster::mx {
namespace {

Task<void> run_to_end(SocketmapSession& session, bool& ended) {
    co_await session.run();
    ended = true;
}

std::string netstring(const std::string& text) {
    return std::to_string(text.size()) + ":" + text + ",";
}

class MailMapsTest : public testing::Test {
protected:
    MailMapsTest()
        : store_(state::SqliteStore::open(folder_.path() / "directory.db").value()),
          replica_(state::Replica::of_store(*store_, store_->file())) {}

    void fill() {
        cluster::DirectoryWriter writer(*store_);
        ASSERT_TRUE(store_->commit(
            state::Transaction{}
                .put("server/sv1",
                     R"({"host":"192.0.2.1","services":{"lmtp":{"port":24,"tls":"none"}}})")
                .put("server/sv2", R"({"kind":"foreign","host":"mail2.d.org",)"
                                   R"("services":{"smtp":{"port":25,"tls":"none"}}})")
                .put("server/sv3", R"({"host":"192.0.2.3"})")
                .put("domain/d.org", R"({"servers":["sv1","sv2","sv3"]})")
                .put("alias/loop@d.org", R"({"to":["loop@d.org"]})")
                .put("domain/r.org", R"({"kind":"remote"})")
                .put("domain/later.org", R"({"kind":"quantum"})")
                .put("domain/s.org", R"({"kind":"remote","route":["192.0.2.9:26","b.org"]})")));
        ASSERT_TRUE(writer.create_account({.address = "kate@d.org", .home = ServerName("sv1")}));
        ASSERT_TRUE(writer.create_account({.address = "pete@d.org", .home = ServerName("sv2")}));
        ASSERT_TRUE(writer.create_account({.address = "ada@d.org", .home = ServerName("sv3")}));
        ASSERT_TRUE(writer.create_account(
            {.address = "off@d.org", .home = ServerName("sv1"), .disabled = true}));
        ASSERT_TRUE(writer.set_alias("k@d.org", {"kate@d.org"}));
        ASSERT_TRUE(writer.set_alias("all@d.org", {"kate@d.org", "pete@d.org", "x@e.org"}));
    }
    void open() {
        topology_ = std::make_unique<cluster::TopologyTable>(replica_, health_);
        directory_ = std::make_unique<cluster::Directory>(*topology_);
        maps_ =
            std::make_unique<MailMaps>(*directory_, "mx.d.org", net::Duration{60'000}, rewriting_);
    }

    /// Everything that is heard when these pieces are said.
    std::string talk(std::deque<std::string> pieces) {
        net::ScriptedStream stream(std::move(pieces));
        SocketmapSession session(stream, *maps_, scratch_, net::Duration{1000});
        TaskGroup tasks;
        bool ended = false;
        tasks.spawn(run_to_end(session, ended));
        EXPECT_TRUE(ended);
        return stream.heard;
    }
    /// One answer, without its netstring.
    std::string ask(const std::string& request) {
        const std::string heard = talk({netstring(request)});
        const auto text = heard.substr(heard.find(':') + 1);
        EXPECT_EQ(heard, netstring(text.substr(0, text.size() - 1)));
        return text.substr(0, text.size() - 1);
    }

    state::TemporaryFolder folder_;
    std::unique_ptr<state::SqliteStore> store_;
    std::shared_ptr<state::Replica> replica_;
    cluster::HealthTable health_;
    std::unique_ptr<cluster::TopologyTable> topology_;
    std::unique_ptr<cluster::Directory> directory_;
    std::shared_ptr<delivery::SenderRewriting> rewriting_ =
        std::make_shared<delivery::SenderRewriting>();
    std::unique_ptr<MailMaps> maps_;
    std::array<char, 4096> scratch_{};
};

TEST_F(MailMapsTest, DomainsAreOursOrKnownAsRemote) {
    fill();
    open();
    EXPECT_EQ(ask("domain d.org"), "OK d.org");
    EXPECT_EQ(ask("domain D.Org"), "OK d.org");
    EXPECT_EQ(ask("domain r.org"), "OK r.org");
    EXPECT_EQ(ask("domain sub.d.org"), "NOTFOUND ");
    EXPECT_EQ(ask("domain later.org"), "TEMP domain-unreadable");
    EXPECT_EQ(ask("recipient kate@later.org"), "TEMP domain-unreadable");
    EXPECT_EQ(ask("domain e.org"), "NOTFOUND ");
    EXPECT_EQ(ask("domain *"), "NOTFOUND ");
}

TEST_F(MailMapsTest, RecipientsAreWhoTakesMail) {
    fill();
    open();
    EXPECT_EQ(ask("recipient kate@d.org"), "OK kate@d.org");
    EXPECT_EQ(ask("recipient Kate+lists@D.org"), "OK Kate+lists@D.org");
    EXPECT_EQ(ask("recipient k@d.org"), "OK k@d.org");
    EXPECT_EQ(ask("recipient all@d.org"), "OK all@d.org");
    EXPECT_EQ(ask("recipient anybody@r.org"), "OK anybody@r.org");
    EXPECT_EQ(ask("recipient off@d.org"), "TEMP the account is disabled");
    for (const std::string who :
         {"nobody@d.org", "loop@d.org", "x@e.org", "kate", "@d.org", "d.org", "*", "\"k k\"@d.org",
          "kate@d.org@d.org", "kate@", "<>"}) {
        EXPECT_EQ(ask("recipient " + who), "NOTFOUND ") << who;
    }
}

TEST_F(MailMapsTest, TransportsAreHomesOfAccounts) {
    fill();
    open();
    EXPECT_EQ(ask("transport kate@d.org"), "OK lmtp:inet:[192.0.2.1]:24");
    EXPECT_EQ(ask("transport KATE+lists@d.org"), "OK lmtp:inet:[192.0.2.1]:24");
    EXPECT_EQ(ask("transport pete@d.org"), "OK smtp:[mail2.d.org]:25");
    EXPECT_EQ(ask("transport ada@d.org"), "TEMP home-offers-no-mail-service");
    EXPECT_EQ(ask("transport off@d.org"), "TEMP the account is disabled");
    EXPECT_EQ(ask("transport x@r.org"), "OK smtp:r.org");
    EXPECT_EQ(ask("transport x@s.org"), "OK smtp:[192.0.2.9]:26, [b.org]");
    for (const std::string who : {"k@d.org", "nobody@d.org", "x@e.org", "*", "d.org"}) {
        EXPECT_EQ(ask("transport " + who), "NOTFOUND ") << who;
    }
}

TEST_F(MailMapsTest, AliasesLeadToTheirAddresses) {
    fill();
    open();
    EXPECT_EQ(ask("alias k@d.org"), "OK kate@d.org");
    EXPECT_EQ(ask("alias K+lists@d.org"), "OK kate@d.org");
    EXPECT_EQ(ask("alias all@d.org"), "OK kate@d.org, pete@d.org, x@e.org");
    for (const std::string who : {"kate@d.org", "Kate+lists@D.org", "nobody@d.org", "off@d.org",
                                  "loop@d.org", "x@e.org", "x@r.org", "*"}) {
        EXPECT_EQ(ask("alias " + who), "NOTFOUND ") << who;
    }
}

TEST_F(MailMapsTest, NothingIsToldBeforeTheFirstDomain) {
    open();
    for (const std::string map : {"recipient", "transport", "alias"}) {
        EXPECT_EQ(ask(map + " kate@d.org"), "TEMP the directory was never filled");
        EXPECT_EQ(ask(map + " *"), "NOTFOUND ");
    }
    EXPECT_EQ(ask("domain d.org"), "TEMP the directory was never filled");
}

TEST_F(MailMapsTest, ADirectoryThatHasHeardOfNoMasterForLongRefusesNobody) {
    fill();
    open();
    maps_ = std::make_unique<MailMaps>(*directory_, "mx.d.org", net::Duration{-1});
    EXPECT_EQ(ask("recipient kate@d.org"), "OK kate@d.org");
    EXPECT_EQ(ask("transport kate@d.org"), "OK lmtp:inet:[192.0.2.1]:24");
    EXPECT_EQ(ask("transport x@e.org"), "NOTFOUND ");
    EXPECT_EQ(ask("recipient off@d.org"), "TEMP the account is disabled");
    for (const std::string map : {"recipient", "transport", "alias"}) {
        EXPECT_TRUE(ask(map + " nobody@d.org").starts_with("TEMP unknown to a directory")) << map;
    }
}

TEST_F(MailMapsTest, OtherMapsAndOtherWordsAreRefusedForGood) {
    fill();
    open();
    EXPECT_EQ(ask("passwords kate@d.org"), "PERM no such map");
    EXPECT_EQ(ask("recipient"), "PERM not MAP KEY");
    EXPECT_EQ(ask(""), "PERM not MAP KEY");
}

TEST_F(MailMapsTest, RequestsAreAnsweredInOrderHoweverTheyArrive) {
    fill();
    open();
    const std::string said =
        netstring("recipient kate@d.org") + netstring("alias k@d.org") + netstring("domain x");
    const std::string heard =
        netstring("OK kate@d.org") + netstring("OK kate@d.org") + "9:NOTFOUND ,";
    EXPECT_EQ(talk({said}), heard);
    std::deque<std::string> bytes;
    for (const char byte : said) bytes.emplace_back(1, byte);
    EXPECT_EQ(talk(bytes), heard);
    std::string many;
    std::string answers;
    for (int i = 0; i < 20'000; ++i) {
        many += netstring("domain d.org");
        answers += netstring("OK d.org");
    }
    EXPECT_EQ(talk({many}), answers);
}

TEST_F(MailMapsTest, RewrittenSendersLeadBack) {
    fill();
    open();
    EXPECT_EQ(ask("domain srs.d.org"), "NOTFOUND ");
    rewriting_->use({.domain = "srs.d.org", .keys = {"key"}});
    const std::string made = rewriting_->forwarded(*directory_->topology(), "a@e.org");
    ASSERT_TRUE(made.starts_with("SRS0="));
    EXPECT_EQ(ask("domain srs.d.org"), "OK srs.d.org");
    EXPECT_EQ(ask("recipient " + made), "OK " + made);
    EXPECT_EQ(ask("alias " + made), "OK a@e.org");
    EXPECT_EQ(ask("transport " + made), "NOTFOUND ");
    for (const std::string map : {"recipient", "alias", "transport"}) {
        EXPECT_EQ(ask(map + " SRS0=AAAAAA=AA=e.org=a@srs.d.org"), "NOTFOUND ");
    }
    rewriting_->use({.domain = "srs.d.org", .keys = {}});
    EXPECT_TRUE(ask("recipient " + made).starts_with("TEMP "));
}

TEST_F(MailMapsTest, WhatIsNoNetstringEndsTheConnection) {
    fill();
    open();
    const std::string good = netstring("domain d.org");
    const std::string answer = netstring("OK d.org");
    for (const std::string bad :
         {"GET / HTTP/1.0\r\n", "99999:", "012:domain d.org,", "12:domain d.org;", ":", "-1:x,"}) {
        EXPECT_EQ(talk({good + bad + good, good}), answer) << bad;
    }
}

}  // namespace
}  // namespace muster::mx
