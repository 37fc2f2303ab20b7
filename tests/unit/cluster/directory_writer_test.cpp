#include "cluster/directory_writer.h"

#include <gtest/gtest.h>

#include "base/password.h"
#include "cluster/entry_codec.h"
#include "cluster/entry_keys.h"
#include "state/sqlite_store.h"
#include "unit/state/temporary_folder.h"

namespace muster::cluster {
namespace {

class DirectoryWriterTest : public testing::Test {
protected:
    DirectoryWriterTest()
        : store_(state::SqliteStore::open(folder_.path() / "directory.db").value()),
          writer_(*store_) {
        for (const char* name : {"sv1", "sv2", "sv3"}) {
            Server server;
            server.name = ServerName(name);
            server.host = "192.0.2.1";
            server.services[0] = ServiceSettings{.port = 143};
            EXPECT_TRUE(writer_.put(server));
        }
        Domain domain;
        domain.name = DomainName("d.org");
        domain.servers = {ServerName("sv1"), ServerName("sv2")};
        EXPECT_TRUE(writer_.put(domain));
    }

    Account create(const std::string& address, const std::string& home = "sv1") {
        auto account = writer_.create_account({.address = address, .home = ServerName(home)});
        EXPECT_TRUE(account) << account.error().detail;
        return account.value_or(Account{});
    }

    bool exists(const std::string& key) { return store_->get(key).value().has_value(); }

    state::TemporaryFolder folder_;
    std::unique_ptr<state::SqliteStore> store_;
    DirectoryWriter writer_;
};

const AccountAddress kKate("kate@d.org");

TEST_F(DirectoryWriterTest, AnAccountGetsIdKeysAndHome) {
    const auto account = writer_.create_account({.address = "Kate@D.org", .password = "secret"});
    ASSERT_TRUE(account) << account.error().detail;
    EXPECT_EQ(account->address, kKate);
    EXPECT_EQ(account->id.text.size(), 16u);
    EXPECT_TRUE(account->home.text == "sv1" || account->home.text == "sv2");
    EXPECT_EQ(*writer_.account(kKate), *account);
    const auto keys = decode_password_keys(account->id.text,
                                           store_->get(password_key(account->id)).value()->value);
    ASSERT_EQ(keys->keys.size(), 1u);
    EXPECT_TRUE(verify_password(keys->keys[0], "secret").value());
}

TEST_F(DirectoryWriterTest, WhatCannotBeIsRefusedWithItsReason) {
    create("kate@d.org");
    const auto kind = [&](const NewAccount& wanted) {
        const auto made = writer_.create_account(wanted);
        return made ? std::string("made") : std::string(name(made.error().kind));
    };
    NewAccount wanted{.address = "KATE@d.org"};
    EXPECT_EQ(kind(wanted), "conflict");
    wanted.address = "pete@nowhere.org";
    EXPECT_EQ(kind(wanted), "not-found");
    wanted.address = "p te@d.org";
    EXPECT_EQ(kind(wanted), "syntax");
    wanted.address = "pete@d.org";
    wanted.home = ServerName("sv9");
    EXPECT_EQ(kind(wanted), "not-found");
    wanted.home = ServerName("sv3");  // not a server of the domain
    EXPECT_EQ(kind(wanted), "refused");
    wanted.home = ServerName();
    wanted.id = writer_.account(kKate)->id;
    EXPECT_EQ(kind(wanted), "conflict");
    wanted.id = AccountId("../x");
    EXPECT_EQ(kind(wanted), "syntax");
    wanted.id = AccountId();
    wanted.keys = {"no scheme"};
    EXPECT_EQ(kind(wanted), "syntax");
}

TEST_F(DirectoryWriterTest, ChangesKeepTheRest) {
    const Account before = create("kate@d.org");
    const auto after =
        writer_.change_account(kKate, {.home = ServerName("sv2"), .disabled = true, .quota = 7});
    ASSERT_TRUE(after);
    EXPECT_EQ(after->id, before.id);
    EXPECT_EQ(after->home.text, "sv2");
    EXPECT_TRUE(after->disabled);
    EXPECT_EQ(writer_.change_account(kKate, {.disabled = false})->quota, 7u);
    EXPECT_EQ(writer_.change_account(AccountAddress("x@d.org"), {}).error().kind,
              ErrorKind::NotFound);
}

TEST_F(DirectoryWriterTest, DeletingTakesKeysAliasesAndSharesAlong) {
    const Account kate = create("kate@d.org");
    create("pete@d.org");
    ASSERT_TRUE(writer_.set_alias("k@d.org", {"kate@d.org"}));
    ASSERT_TRUE(writer_.set_alias("all@d.org", {"kate@d.org", "pete@d.org"}));
    const std::string share = shared_acl_key("pete@d.org", "kate@d.org");
    ASSERT_TRUE(store_->commit(state::Transaction{}.put(share, encode_shared_acl("1"))));
    ASSERT_TRUE(writer_.delete_account(kKate));
    EXPECT_FALSE(exists("account/kate@d.org"));
    EXPECT_FALSE(exists(password_key(kate.id)));
    EXPECT_FALSE(exists("alias/k@d.org"));
    EXPECT_FALSE(exists(share));
    EXPECT_EQ(writer_.aliases_to(AccountAddress("pete@d.org"))->size(), 1u);
    EXPECT_TRUE(writer_.aliases_to(kKate)->empty());
    EXPECT_EQ(writer_.delete_account(kKate).error().kind, ErrorKind::NotFound);
}

TEST_F(DirectoryWriterTest, ARenameMovesNothingButTheName) {
    const Account before = create("kate@d.org");
    create("pete@d.org");
    ASSERT_TRUE(writer_.set_alias("k@d.org", {"kate@d.org"}));
    EXPECT_EQ(writer_.rename_account(kKate, "pete@d.org", false).error().kind, ErrorKind::Conflict);
    const auto after = writer_.rename_account(kKate, "Catherine@d.org", true);
    ASSERT_TRUE(after) << after.error().detail;
    EXPECT_EQ(after->id, before.id);
    EXPECT_EQ(after->home, before.home);
    EXPECT_FALSE(exists("account/kate@d.org"));
    EXPECT_EQ(writer_.account(kKate)->address.text, "catherine@d.org");
    EXPECT_EQ(writer_.account(AccountAddress("k@d.org"))->address.text, "catherine@d.org");
}

TEST_F(DirectoryWriterTest, AliasesAndAccountsShareOneNameSpace) {
    create("kate@d.org");
    ASSERT_TRUE(writer_.set_alias("k@d.org", {"kate@d.org"}));
    EXPECT_EQ(writer_.set_alias("kate@d.org", {"kate@d.org"}).error().kind, ErrorKind::Syntax);
    EXPECT_EQ(writer_.set_alias("x@d.org", {"nobody@d.org"}).error().kind, ErrorKind::NotFound);
    EXPECT_TRUE(writer_.set_alias("out@d.org", {"someone@elsewhere.example"}));
    EXPECT_EQ(writer_.create_account({.address = "k@d.org"}).error().kind, ErrorKind::Conflict);
    EXPECT_TRUE(writer_.delete_alias(AccountAddress("k@d.org")));
    EXPECT_FALSE(writer_.delete_alias(AccountAddress("k@d.org")));
}

TEST_F(DirectoryWriterTest, PasswordsAreReplaced) {
    const Account kate = create("kate@d.org");
    ASSERT_TRUE(writer_.set_password(kKate, "one"));
    ASSERT_TRUE(writer_.set_password(kKate, "two"));
    const auto keys =
        decode_password_keys(kate.id.text, store_->get(password_key(kate.id)).value()->value);
    ASSERT_EQ(keys->keys.size(), 1u);
    EXPECT_TRUE(verify_password(keys->keys[0], "two").value());
    EXPECT_FALSE(writer_.set_password(kKate, ""));
    EXPECT_FALSE(writer_.set_keys(kKate, {"plain"}));
}

TEST_F(DirectoryWriterTest, FieldsOfNewerVersionsSurviveAChange) {
    ASSERT_TRUE(store_->commit(state::Transaction{}.put(
        "domain/d.org", R"({"kind":"shared","servers":["sv1"],"later":[1,2]})")));
    Domain domain = **writer_.domain(DomainName("d.org"));
    domain.unknown.clear();
    domain.servers = {ServerName("sv2")};
    ASSERT_TRUE(writer_.put(domain));
    EXPECT_NE(store_->get("domain/d.org").value()->value.find(R"("later":[1,2])"),
              std::string::npos);
}

TEST_F(DirectoryWriterTest, WhatOthersDependOnStays) {
    create("kate@d.org");
    EXPECT_EQ(writer_.delete_domain(DomainName("d.org")).error().kind, ErrorKind::Refused);
    EXPECT_EQ(writer_.delete_server(ServerName("sv1")).error().kind, ErrorKind::Refused);
    EXPECT_TRUE(writer_.delete_server(ServerName("sv3")));
    Domain domain = **writer_.domain(DomainName("d.org"));
    domain.servers = {ServerName("sv3")};
    EXPECT_EQ(writer_.put(domain).error().kind, ErrorKind::NotFound);
    ASSERT_TRUE(writer_.delete_account(kKate));
    EXPECT_TRUE(writer_.delete_domain(DomainName("d.org")));
    EXPECT_TRUE(writer_.delete_server(ServerName("sv1")));
}

TEST_F(DirectoryWriterTest, TwoDomainsCannotHaveOneAddress) {
    Domain one = **writer_.domain(DomainName("d.org"));
    one.addresses = {IpAddress::parse("192.0.2.9").value()};
    ASSERT_TRUE(writer_.put(one));
    EXPECT_TRUE(writer_.put(one));  // again is no conflict with itself
    Domain two = one;
    two.name = DomainName("e.org");
    EXPECT_EQ(writer_.put(two).error().kind, ErrorKind::Conflict);
}

TEST_F(DirectoryWriterTest, ALocalDomainStaysOnItsNode) {
    Domain local = **writer_.domain(DomainName("d.org"));
    local.name = DomainName("local.org");
    local.kind = DomainKind::Local;
    local.node = NodeName("be1");
    EXPECT_EQ(writer_.put(local).error().kind, ErrorKind::Refused);
    Server server = **writer_.server(ServerName("sv1"));
    server.node = NodeName("be1");
    ASSERT_TRUE(writer_.put(server));
    local.servers = {ServerName("sv1")};
    EXPECT_TRUE(writer_.put(local));
}

TEST_F(DirectoryWriterTest, AnExpectedRevisionGuardsAgainstLostChanges) {
    const Server server = **writer_.server(ServerName("sv1"));
    const Revision revision = store_->get("server/sv1").value()->revision;
    EXPECT_TRUE(writer_.put(server, revision));
    EXPECT_EQ(writer_.put(server, revision).error().kind, ErrorKind::Conflict);
    EXPECT_EQ(writer_.put(server, 0).error().kind, ErrorKind::Conflict);
}

TEST(WeightedHome, FollowsWeightAndAdminState) {
    Server one;
    one.name = ServerName("one");
    one.weight = 1;
    Server three = one;
    three.name = ServerName("three");
    three.weight = 3;
    int hits = 0;
    for (std::uint64_t random = 0; random < 400; ++random) {
        if (weighted_home({one, three}, random).text == "three") ++hits;
    }
    EXPECT_EQ(hits, 300);
    three.admin = AdminState::Drain;
    EXPECT_EQ(weighted_home({one, three}, 3).text, "one");
    one.weight = 0;
    EXPECT_EQ(weighted_home({one, three}, 3).text, "three");
    EXPECT_TRUE(weighted_home({one}, 3).empty());
    EXPECT_TRUE(weighted_home({}, 3).empty());
}

TEST(PasswordKey, PlainIsHashedAndHashesAreKept) {
    EXPECT_EQ(to_password_key("{SHA512-CRYPT}$6$x").value(), "{SHA512-CRYPT}$6$x");
    EXPECT_TRUE(to_password_key("{PLAIN}a b").value().starts_with("{SCRAM-SHA-256}4096,"));
    EXPECT_TRUE(to_password_key("a{b}c").value().starts_with("{SCRAM-SHA-256}"));
    EXPECT_TRUE(to_password_key("{CLEARTEXT}a").value().starts_with("{SCRAM-SHA-256}4096,"));
    EXPECT_FALSE(to_password_key(""));
    EXPECT_FALSE(to_password_key("{PLAIN}"));
    EXPECT_FALSE(check_password_key("{PLAIN}secret"));
}

/// A store in which others write at the worst moment: right before a commit.
class BusyStore : public state::Store {
public:
    explicit BusyStore(state::Store& store) : store_(store) {}
    std::function<void()> before_commit;

    Result<Revision> commit(const state::Transaction& transaction) override {
        if (auto others = std::exchange(before_commit, nullptr)) others();
        return store_.commit(transaction);
    }
    std::unique_ptr<state::BulkLoad> bulk(state::BulkOptions options) override {
        return store_.bulk(std::move(options));
    }
    Result<std::optional<state::Entry>> get(std::string_view key) override {
        return store_.get(key);
    }
    Result<std::vector<state::Entry>> range(std::string_view from, std::string_view to,
                                            std::size_t limit) override {
        return store_.range(from, to, limit);
    }
    Result<state::Page> page(std::string_view from, std::string_view to, std::size_t limit,
                             state::Sight sight) override {
        return store_.page(from, to, limit, sight);
    }
    Result<state::ChangeBatch> changes(const state::Cursor& since, std::size_t limit,
                                       state::Sight sight) override {
        return store_.changes(since, limit, sight);
    }
    state::Cursor head() override { return store_.head(); }
    state::History history() override { return store_.history(); }
    Result<> begin_term() override { return store_.begin_term(); }
    state::Watch watch(state::ChangeCallback callback) override {
        return store_.watch(std::move(callback));
    }

private:
    state::Store& store_;
};

TEST_F(DirectoryWriterTest, WhatSomebodyComesToUseMeanwhileIsNotDeleted) {
    BusyStore busy(*store_);
    DirectoryWriter deleting(busy);
    busy.before_commit = [&] { create("kate@d.org"); };
    const auto domain = deleting.delete_domain(DomainName("d.org"));
    ASSERT_FALSE(domain);
    EXPECT_EQ(domain.error().kind, ErrorKind::Refused);
    EXPECT_TRUE(exists("domain/d.org"));

    busy.before_commit = [&] {
        Domain other;
        other.name = DomainName("e.org");
        other.servers = {ServerName("sv3")};
        ASSERT_TRUE(writer_.put(other));
    };
    EXPECT_FALSE(deleting.delete_server(ServerName("sv3")));
    EXPECT_TRUE(exists("server/sv3"));

    // What has nothing to do with it is no hindrance.
    ASSERT_TRUE(writer_.delete_domain(DomainName("e.org")));
    busy.before_commit = [&] { create("bob@d.org"); };
    EXPECT_TRUE(deleting.delete_server(ServerName("sv3")));
}

TEST_F(DirectoryWriterTest, NothingIsPutIntoWhatIsDeletedMeanwhile) {
    BusyStore busy(*store_);
    DirectoryWriter adding(busy);
    busy.before_commit = [&] { ASSERT_TRUE(writer_.delete_domain(DomainName("d.org"))); };
    EXPECT_FALSE(adding.set_alias("a@d.org", {"x@elsewhere.org"}));
    EXPECT_FALSE(exists("alias/a@d.org"));
    Domain other;
    other.name = DomainName("e.org");
    other.servers = {ServerName("sv3")};
    busy.before_commit = [&] { ASSERT_TRUE(writer_.delete_server(ServerName("sv3"))); };
    EXPECT_FALSE(adding.put(other));
}

TEST_F(DirectoryWriterTest, ANodeWithAServerStays) {
    Node node;
    node.name = NodeName("be1");
    ASSERT_TRUE(writer_.put(node));
    Server server;
    server.name = ServerName("sv9");
    server.host = "192.0.2.9";
    server.node = node.name;
    ASSERT_TRUE(writer_.put(server));
    const auto refused = writer_.delete_node(node.name);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().detail, "server sv9 stands beside the node");
    ASSERT_TRUE(writer_.delete_server(server.name));
    EXPECT_TRUE(writer_.delete_node(node.name));
}

TEST_F(DirectoryWriterTest, AnIdIsFoundWithoutARowOfKeys) {
    const Account kate = create("kate@d.org");
    ASSERT_TRUE(store_->commit(state::Transaction{}.remove(password_key(kate.id))));
    EXPECT_FALSE(writer_.create_account({.address = "bob@d.org", .id = kate.id}));
}

TEST_F(DirectoryWriterTest, SharesOfNamesWithSlashesFollowARename) {
    create("kate@d.org");
    const std::string key = shared_acl_key("a/b@e.org", "kate@d.org");
    ASSERT_TRUE(store_->commit(state::Transaction{}.put(key, encode_shared_acl("1"))));
    ASSERT_TRUE(writer_.rename_account(kKate, "x@d.org", false));
    EXPECT_FALSE(exists(key));
    EXPECT_TRUE(exists(shared_acl_key("a/b@e.org", "x@d.org")));
    EXPECT_EQ(split_share("anyone/x@d")->to, "anyone");
    EXPECT_EQ(split_share("anyone/x@d/y@d")->to, "anyone/x@d");
    EXPECT_FALSE(split_share("a@d/"));
}

}  // namespace
}  // namespace muster::cluster
