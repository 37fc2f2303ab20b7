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
             Case{"domain/domain1.dom", Scope::Relay},
             Case{"server/sv1", Scope::Relay},
             Case{"account/kate@domain1.dom", Scope::Relay},
             Case{"alias/info@domain1.dom", Scope::Relay},
             Case{"node/fe1", Scope::Relay},
             Case{"setting/x", Scope::Relay},
             Case{"certificate/c", Scope::Frontend},
             Case{"credential/sv9", Scope::Frontend},
             Case{"secret/tickets", Scope::Frontend},
             Case{"dkim/domain1.dom/s1", Scope::Frontend},
             Case{"key/ABC", Scope::Backend},
             Case{"shared-acl/a/b", Scope::Backend},
             Case{"admin/root", Scope::Backend},
             Case{"unknown/x", Scope::All},
             Case{"keyring", Scope::All},
             Case{"key", Scope::All},
             Case{"", Scope::All},
         }) {
        for (const Scope scope : {Scope::Relay, Scope::Frontend, Scope::Backend, Scope::All}) {
            EXPECT_EQ(visible(key, scope), scope >= least) << key << " in " << name(scope);
        }
    }
}

TEST(Scope, AllIsNoFollowersScope) {
    EXPECT_EQ(scope_from("relay"), Scope::Relay);
    EXPECT_EQ(scope_from("frontend"), Scope::Frontend);
    EXPECT_EQ(scope_from("backend"), Scope::Backend);
    EXPECT_FALSE(scope_from("all"));
    EXPECT_FALSE(scope_from(""));
}

}  // namespace
}  // namespace muster::state
