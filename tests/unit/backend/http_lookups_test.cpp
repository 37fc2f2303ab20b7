#include "backend/http_lookups.h"

#include <gtest/gtest.h>

#include "unit/backend/fake_accounts.h"

namespace muster::backend {
namespace {

class HttpLookups : public testing::Test {
protected:
    net::HttpResponse ask(const std::string& path, const std::string& query,
                          const std::string& secret = "s3cret") {
        net::HttpRequest request;
        request.method = "GET";
        request.path = path;
        request.query = query;
        request.headers = {{"authorization", "Bearer " + secret}};
        return http_lookup(request, authority, "s3cret");
    }

    FakeAccounts accounts;
    AuthoritySettings settings{ServerName("sv1"), "/mail", "secret"};
    TokenStore tokens;
    SharedMailboxes shares{accounts, {}};
    LetIn let_in;
    Authority authority{accounts, settings, tokens, shares, let_in};
};

TEST_F(HttpLookups, GiveTheSameAnswersAsLines) {
    accounts.add("ada@d", {"{PLAIN}x"}).quota = 1000;
    EXPECT_EQ(ask("/passdb", "mechanism=PLAIN&name=ada%40d&resolved=").body,
              "password={PLAIN}x\nuser=ada@d\n");
    EXPECT_EQ(ask("/userdb", "name=ada%40d").body,
              "home=/mail/id/id0/0\nquota_storage_size=1000B\nuser=ada@d\n");
    EXPECT_TRUE(let_in.contains("ada@d"));
    EXPECT_EQ(ask("/userdb", "name=nobody").status, 404);
    EXPECT_EQ(ask("/else", "").status, 404);
    const auto token = tokens.issue(AccountId("id0"), "imap", TokenStore::Clock::now());
    EXPECT_EQ(ask("/token", "id=" + token->id + "&service=imap&name=ada%40d").body,
              "password={PLAIN}" + token->secret + "\n");
    accounts.failing = true;
    EXPECT_EQ(ask("/userdb", "name=ada%40d").status, 503);
}

TEST_F(HttpLookups, AreForThoseWhoKnowTheSecret) {
    EXPECT_EQ(ask("/userdb", "name=ada%40d", "wrong").status, 403);
    net::HttpRequest request;
    request.path = "/userdb";
    EXPECT_EQ(http_lookup(request, authority, "s3cret").status, 403);
    request.headers = {{"authorization", "Bearer "}};
    EXPECT_EQ(http_lookup(request, authority, "").status, 403);
}

}  // namespace
}  // namespace muster::backend
