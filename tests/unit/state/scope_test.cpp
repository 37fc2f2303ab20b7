#include "state/scope.h"

#include <gtest/gtest.h>

namespace muster::state {
namespace {

struct Case {
    const char* key;
    Scope least;
};

TEST(Scope, EachFamilyHasItsLeastScope) {
    for (const auto& [key, least] : {
             Case{"domain/domain1.dom", Scope::Mirror},
             Case{"server/sv1", Scope::Relay},
             Case{"account/kate@domain1.dom", Scope::Relay},
             Case{"alias/info@domain1.dom", Scope::Relay},
             Case{"node/fe1", Scope::Mirror},
             Case{"setting/x", Scope::Relay},
             Case{"certificate/c", Scope::Frontend},
             Case{"credential/sv9", Scope::Frontend},
             Case{"delivery/far.dom", Scope::Frontend},
             Case{"secret/tickets", Scope::Frontend},
             Case{"dkim/domain1.dom/s1", Scope::Frontend},
             Case{"key/ABC", Scope::Backend},
             Case{"shared-acl/a/b", Scope::Backend},
             Case{"admin/root", Scope::Backend},
             Case{"token/x", Scope::All},
             Case{"issued/x", Scope::All},
             Case{"unknown/x", Scope::All},
             Case{"keyring", Scope::All},
             Case{"key", Scope::All},
             Case{"", Scope::All},
         }) {
        for (const Scope scope :
             {Scope::Mirror, Scope::Relay, Scope::Frontend, Scope::Backend, Scope::All}) {
            EXPECT_EQ(visible(key, scope), scope >= least) << key << " in " << name(scope);
        }
    }
}

TEST(Scope, AMirrorSeesRemoteDomainsAndLeadingNodesOnly) {
    struct Value {
        const char* key;
        const char* value;
        bool seen;
    };
    for (const auto& [key, value, seen] : {
             Value{"domain/a.dom", R"({"kind":"remote","route":["mx.dom"]})", true},
             Value{"domain/a.dom", R"({"kind":"remote","unheard_of":{"x":[1]}})", true},
             Value{"domain/a.dom", R"({"kind":"shared"})", false},
             Value{"domain/a.dom", R"({"kind":"local","node":"remote"})", false},
             Value{"domain/a.dom", R"({"kind":"unheard-of"})", false},
             Value{"domain/a.dom", R"({"kind":["remote"]})", false},
             Value{"domain/a.dom", R"({})", false},
             Value{"domain/a.dom", R"("remote")", false},
             Value{"domain/a.dom", "", false},
             Value{"node/m", R"({"scope":"backend","master":true})", true},
             Value{"node/m", R"({"scope":"backend","eligible":true})", true},
             Value{"node/m", R"({"scope":"backend","master":"true"})", false},
             Value{"node/m", R"({"scope":"frontend"})", false},
             Value{"account/k@a.dom", R"({"kind":"remote","master":true})", false},
             Value{"key/K", R"({"kind":"remote","master":true})", false},
         }) {
        EXPECT_EQ(visible(key, value, Scope::Mirror), seen) << key << value;
        EXPECT_EQ(visible(key, value, Scope::Relay), visible(key, Scope::Relay)) << key << value;
    }
}

TEST(Scope, FamiliesOfALaterVersionAreTheSendersToJudge) {
    EXPECT_FALSE(forbidden("later/x", Scope::Relay));
    EXPECT_FALSE(visible("later/x", Scope::Backend));
    for (const char* key : {"key/K", "token/T", "issued/sv1", "secret/srs", "key", ""}) {
        EXPECT_TRUE(forbidden(key, Scope::Relay)) << key;
        EXPECT_FALSE(forbidden(key, Scope::All)) << key;
    }
    EXPECT_FALSE(forbidden("key/K", Scope::Backend));
    EXPECT_TRUE(forbidden("token/T", Scope::Backend));
}

TEST(Scope, AReaderOfTheFirstVersionIsSentFirstFamiliesOnly) {
    Sight sight = Scope::Frontend;
    EXPECT_TRUE(visible("secret/tickets", sight));
    sight.only_first_families = true;
    EXPECT_FALSE(visible("secret/tickets", sight));
    EXPECT_FALSE(visible("dkim/a.dom/x", sight));
    EXPECT_FALSE(visible("delivery/a.dom", sight));
    EXPECT_TRUE(visible("credential/sv1", sight));
    EXPECT_TRUE(visible("account/a@b.c", sight));
}

TEST(Scope, CredentialsForDeliveryAreARightOfTheirOwn) {
    constexpr std::string_view kKey = "delivery/far.dom";
    EXPECT_FALSE(visible(kKey, R"({"user":"u"})", Scope::Mirror));
    EXPECT_TRUE(visible(kKey, R"({"user":"u"})", Sight(Scope::Mirror, true)));
    for (const char* other : {"credential/sv1", "certificate/c", "delivery", "deliveries/x"}) {
        EXPECT_FALSE(visible(other, Sight(Scope::Mirror, true))) << other;
    }
}

TEST(Scope, AllIsNoFollowersScope) {
    EXPECT_EQ(scope_from("mirror"), Scope::Mirror);
    EXPECT_EQ(scope_from("relay"), Scope::Relay);
    EXPECT_EQ(scope_from("frontend"), Scope::Frontend);
    EXPECT_EQ(scope_from("backend"), Scope::Backend);
    EXPECT_FALSE(scope_from("all"));
    EXPECT_FALSE(scope_from(""));
}

}  // namespace
}  // namespace muster::state
