#include "backend/dict_session.h"

#include <gtest/gtest.h>

#include "unit/backend/fake_accounts.h"
#include "unit/net/scripted_stream.h"

namespace muster::backend {
namespace {

Task<void> run_to_end(DictSession& session, bool& ended) {
    co_await session.run();
    ended = true;
}

class Dict : public testing::Test {
protected:
    /// What is answered to these lines.
    std::string talk(const std::string& lines, DictAccess access = DictAccess::Auth) {
        net::ScriptedStream stream({"H3\t2\t0\t\tmuster\n" + lines});
        DictSession session(stream, authority, access);
        TaskGroup tasks;
        bool ended = false;
        tasks.spawn(run_to_end(session, ended));
        EXPECT_TRUE(ended);
        return stream.heard;
    }

    Task<Result<>> write(std::string to, std::string from, std::optional<std::string> value) {
        written += to + "<" + from + "=" + value.value_or("-") + ";";
        if (refuse) co_return fail(ErrorKind::Unavailable, "no master");
        co_return Result<>();
    }

    FakeAccounts accounts;
    AuthoritySettings settings{ServerName("sv1"), "/mail", "secret"};
    TokenStore tokens;
    std::string written;
    bool refuse = false;
    SharedMailboxes shares{
        accounts, [this](std::string to, std::string from, std::optional<std::string> value) {
            return write(std::move(to), std::move(from), std::move(value));
        }};
    LetIn let_in;
    Authority authority{accounts, settings, tokens, shares, let_in};
};

TEST_F(Dict, AnswersInOrder) {
    accounts.add("ada@d", {"{PLAIN}x"});
    EXPECT_EQ(talk("Lshared/userdb/nobody@d\tnobody@d\n"
                   "Lshared/passdb/PLAIN/ada@d/\tada@d\n"
                   "Lshared/something/else\tada@d\n"),
              "N\nO{\"password\":\"{PLAIN}x\",\"user\":\"ada@d\"}\nN\n");
}

TEST_F(Dict, RemembersWhomItGaveAHome) {
    accounts.add("ada@d", {});
    accounts.add("off@d", {}).disabled = true;
    talk("Lshared/userdb/ada@d\tada@d\nLshared/userdb/off@d\toff@d\n");
    EXPECT_EQ(let_in, (LetIn{{"ada@d", "/mail/id/id0/0"}}));
}

TEST_F(Dict, MailProcessesSeeNoKeysAndNoHomes) {
    accounts.add("ada@d", {"{PLAIN}x"});
    for (const std::string key : {"passdb/PLAIN/ada@d/", "userdb/ada@d", "token/x/imap/ada@d"})
        EXPECT_EQ(talk("Lshared/" + key + "\tada@d\n", DictAccess::Mail)[0], 'F') << key;
    EXPECT_EQ(talk("I0\t0\tshared/userdb/\tada@d\n", DictAccess::Mail)[0], 'F');
}

TEST_F(Dict, IteratesAccountsWhoseHomeIsHere) {
    for (const char* address : {"a@d", "b@d", "c@d", "e@d"}) accounts.add(address, {});
    accounts.rows["b@d"].facts.home = ServerName("sv2");
    EXPECT_EQ(talk("I0\t0\tshared/userdb/\t*\n"),
              "Oshared/userdb/a@d\t{}\nOshared/userdb/c@d\t{}\nOshared/userdb/e@d\t{}\n\n");
    EXPECT_EQ(talk("I0\t2\tshared/userdb/\t*\n"),
              "Oshared/userdb/a@d\t{}\nOshared/userdb/c@d\t{}\n\n");
    EXPECT_EQ(talk("I0\t0\tshared/unknown/\t*\n"), "\n");
}

/// Counts how often the loop comes round, until the listing has ended.
void count_turns(net::Loop& loop, const bool& ended, int& turns) {
    if (ended) return loop.stop();
    ++turns;
    loop.post([&] { count_turns(loop, ended, turns); });
}

TEST_F(Dict, AListingOfOtherServersAccountsLetsOthersWork) {
    constexpr int kPages = 50;
    for (int i = 0; i < kPages; ++i)
        accounts.add("a" + std::to_string(i) + "@d", {}).home = ServerName("sv2");
    net::Loop loop;
    authority.loop = &loop;
    net::ScriptedStream stream({"H3\t2\t0\t\tmuster\nI0\t0\tshared/userdb/\t*\n"});
    DictSession session(stream, authority, DictAccess::Auth);
    bool ended = false;
    int turns = 0;
    loop.post([&] { loop.tasks().spawn(run_to_end(session, ended)); });
    count_turns(loop, ended, turns);
    loop.run();
    EXPECT_EQ(stream.heard, "\n");
    EXPECT_GE(turns, kPages);
}

TEST_F(Dict, SharesAreReadAndWrittenByTheirOwner) {
    accounts.add("ada@d", {});
    accounts.add("bob@d", {});
    accounts.all_shares = {
        {"bob@d", "ada@d", "1"}, {"bob@d", "eve@d", "1"}, {"zoe@d", "eve@d", "1"}};
    const auto mail = DictAccess::Mail;
    EXPECT_EQ(talk("Lshared/shared-boxes/user/bob@d/ada@d\tada@d\n", mail), "O1\n");
    EXPECT_EQ(talk("I1\t0\tshared/shared-boxes/\tada@d\n", mail),
              "Oshared/shared-boxes/user/bob@d/ada@d\t1\n\n");
    EXPECT_EQ(talk("I1\t0\tshared/shared-boxes/user/bob@d/\tbob@d\n", mail),
              "Oshared/shared-boxes/user/bob@d/ada@d\t1\n"
              "Oshared/shared-boxes/user/bob@d/eve@d\t1\n\n");
    EXPECT_EQ(talk("B1\tada@d\nS1\tshared/shared-boxes/user/bob@d/ada@d\t1\nC1\n", mail), "O1\n");
    EXPECT_EQ(talk("B1\tada@d\nU1\tshared/shared-boxes/user/gone@d/ada@d\nC1\n", mail), "O1\n");
    EXPECT_EQ(written, "bob@d<ada@d=1;gone@d<ada@d=-;");
}

TEST_F(Dict, WhatMayNotBeWrittenIsRefused) {
    accounts.add("ada@d", {});
    accounts.add("bob@d", {});
    const auto set = [this](const std::string& user, const std::string& key) {
        return talk("B1\t" + user + "\nS1\t" + key + "\t1\nC1\n", DictAccess::Mail).substr(0, 2);
    };
    EXPECT_EQ(set("bob@d", "shared/shared-boxes/user/bob@d/ada@d"), "F1");
    EXPECT_EQ(set("ada@d", "shared/shared-boxes/user/nobody@d/ada@d"), "F1");
    EXPECT_EQ(set("ada@d", "shared/userdb/ada@d"), "F1");
    EXPECT_EQ(set("ada@d", "shared/last-login/ada@d"), "O1");
    EXPECT_EQ(written, "");
    refuse = true;
    EXPECT_EQ(set("ada@d", "shared/shared-boxes/user/bob@d/ada@d"), "F1");
}

TEST_F(Dict, BrokenGrammarEndsTheConversation) {
    EXPECT_EQ(talk("?\nLshared/userdb/a@d\ta@d\n"), "");
    EXPECT_EQ(talk("S9\tshared/last-login/a@d\t1\nLshared/userdb/a@d\ta@d\n"), "");
    EXPECT_EQ(talk("R9\nLshared/userdb/a@d\ta@d\n"), "N\n");
}

}  // namespace
}  // namespace muster::backend
