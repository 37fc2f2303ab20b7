#include "backend/account_authority.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "unit/backend/fake_accounts.h"

namespace muster::backend {
namespace {

using nlohmann::json;

constexpr const char* kScram256 = "{SCRAM-SHA-256}4096,c2FsdA==,c3RvcmVk,c2VydmVy";
constexpr const char* kScram1 = "{SCRAM-SHA-1}4096,c2FsdA==,c3RvcmVk,c2VydmVy";
constexpr const char* kBcrypt = "{BLF-CRYPT}$2y$05$abcdefghijklmnopqrstuv";

class Authority : public testing::Test {
protected:
    json passdb(const std::string& name, const std::string& mechanism = "PLAIN",
                const std::string& resolved = "") {
        const auto answer = passdb_answer({mechanism, name, resolved}, accounts, settings);
        const auto* found = std::get_if<Found>(&answer);
        return found ? json::parse(found->value) : json();
    }
    Answer userdb(const std::string& name) {
        return userdb_answer(standing_of(name, accounts, settings), settings);
    }
    json userdb_fields(const std::string& name) {
        const auto answer = userdb(name);
        const auto* found = std::get_if<Found>(&answer);
        return found ? json::parse(found->value) : json();
    }

    FakeAccounts accounts;
    AuthoritySettings settings{ServerName("sv1"), "/mail", "secret"};
};

TEST_F(Authority, PassdbGivesTheKeyAndTheCanonicalName) {
    accounts.add("ada@domain1.dom", {kScram256});
    accounts.aliases["Ada@Domain1.dom"] = "ada@domain1.dom";
    const json expected{{"password", kScram256}, {"user", "ada@domain1.dom"}};
    EXPECT_EQ(passdb("ada@domain1.dom"), expected);
    EXPECT_EQ(passdb("Ada@Domain1.dom", "SCRAM-SHA-256"), expected);
}

TEST_F(Authority, PassdbTakesTheAccountThatAFrontEndResolved) {
    accounts.add("ada@domain1.dom", {kScram256});
    EXPECT_EQ(passdb("ada", "SCRAM-SHA-256", "ada@domain1.dom")["user"], "ada@domain1.dom");
}

TEST_F(Authority, EachMechanismGetsAKeyOfItsKind) {
    accounts.add("ada@domain1.dom", {kBcrypt, kScram256, kScram1});
    EXPECT_EQ(passdb("ada@domain1.dom", "PLAIN")["password"], kBcrypt);
    EXPECT_EQ(passdb("ada@domain1.dom", "SCRAM-SHA-256")["password"], kScram256);
    EXPECT_EQ(passdb("ada@domain1.dom", "SCRAM-SHA-1")["password"], kScram1);
}

TEST_F(Authority, UnknownNamesAndMissingKeysGetADecoy) {
    accounts.add("old@domain1.dom", {kBcrypt});
    accounts.add("keyless@domain1.dom", {});
    for (const auto& [name, mechanism] :
         std::vector<std::pair<std::string, std::string>>{{"nobody@domain1.dom", "PLAIN"},
                                                          {"nobody@domain1.dom", "SCRAM-SHA-1"},
                                                          {"old@domain1.dom", "SCRAM-SHA-256"},
                                                          {"keyless@domain1.dom", "PLAIN"}}) {
        const json answer = passdb(name, mechanism);
        EXPECT_EQ(answer, (json{{"password", decoy_key(mechanism, name, "secret")}}));
        EXPECT_EQ(passdb(name, mechanism), answer) << "the salt must not change";
    }
    EXPECT_NE(decoy_key("PLAIN", "a", "secret"), decoy_key("PLAIN", "b", "secret"));
    EXPECT_NE(decoy_key("PLAIN", "a", "secret"), decoy_key("PLAIN", "a", "other"));
}

TEST_F(Authority, DisabledAccountsAreNotLetInAndNotGivenAReason) {
    accounts.add("ada@domain1.dom", {kScram256}).disabled = true;
    const json answer = passdb("ada@domain1.dom");
    EXPECT_EQ(answer["nologin"], "y");
    EXPECT_FALSE(answer.contains("reason"));
    EXPECT_EQ(userdb_fields("ada@domain1.dom")["tempfail"], "y");
}

TEST_F(Authority, UserdbGivesHomeByIdAndEpoch) {
    auto& ada = accounts.add("ada@domain1.dom", {});
    ada.id = AccountId("abcdefghijklmnop");
    ada.epoch = 7;
    EXPECT_EQ(userdb_fields("ada@domain1.dom"),
              (json{{"user", "ada@domain1.dom"}, {"home", "/mail/ab/abcdefghijklmnop/7"}}));
    ada.quota = 1000;
    EXPECT_EQ(userdb_fields("ada@domain1.dom")["quota_rule"], "*:bytes=1000");
}

TEST_F(Authority, UserdbRefusesAccountsOfOtherServersForNow) {
    accounts.add("ada@domain1.dom", {}).home = ServerName("sv2");
    EXPECT_EQ(userdb_fields("ada@domain1.dom")["tempfail"], "y");
    EXPECT_FALSE(userdb_fields("ada@domain1.dom").contains("home"));
}

TEST_F(Authority, UserdbDoesNotFindNamesOfNoAccount) {
    EXPECT_TRUE(std::holds_alternative<NotFound>(userdb("nobody@domain1.dom")));
}

TEST_F(Authority, NothingIsSaidWhileNothingIsKnown) {
    accounts.failing = true;
    const auto answer = passdb_answer({"PLAIN", "ada@domain1.dom", ""}, accounts, settings);
    EXPECT_TRUE(std::holds_alternative<Failure>(answer));
    EXPECT_TRUE(std::holds_alternative<Failure>(userdb("ada@domain1.dom")));
}

TEST_F(Authority, NamesThatAreNoUtf8AreAnAnswerToo) {
    EXPECT_TRUE(passdb("\xff@domain1.dom").contains("password"));
}

TEST_F(Authority, ATokenLetsInOnceAndOnlyWhereItIsFor) {
    const auto& ada = accounts.add("ada@domain1.dom", {});
    accounts.add("bob@domain1.dom", {});
    TokenStore tokens;
    const auto now = TokenStore::Clock::now();
    const auto ask = [&](const std::string& id, const std::string& service, const std::string& name,
                         std::chrono::seconds later) {
        const auto answer = token_answer({id, service, name}, accounts, tokens, now + later);
        return std::holds_alternative<Found>(answer);
    };
    const auto issue = [&] { return tokens.issue(ada.id, "imap", now)->id; };
    const std::string id = issue();
    EXPECT_TRUE(ask(id, "imap", "ada@domain1.dom", std::chrono::seconds(59)));
    EXPECT_FALSE(ask(id, "imap", "ada@domain1.dom", std::chrono::seconds(0)));
    EXPECT_FALSE(ask(issue(), "pop3", "ada@domain1.dom", std::chrono::seconds(0)));
    EXPECT_FALSE(ask(issue(), "imap", "bob@domain1.dom", std::chrono::seconds(0)));
    EXPECT_FALSE(ask(issue(), "imap", "ada@domain1.dom", std::chrono::seconds(61)));
    EXPECT_EQ(tokens.size(), 0U);
}

}  // namespace
}  // namespace muster::backend
