#include "cluster/domain_pattern.h"

#include <gtest/gtest.h>

#include <vector>

namespace muster::cluster {
namespace {

TEST(DomainPattern, ANameIsThatNameAndAStarWhatIsBelow) {
    const std::vector<std::string> patterns{"a.org", "*.b.org"};
    for (const char* taken : {"a.org", "x.b.org", "y.x.b.org"}) {
        EXPECT_TRUE(is_among(patterns, taken)) << taken;
    }
    for (const char* left : {"x.a.org", "b.org", "xb.org", ".b.org", "a.orgs", "org", ""}) {
        EXPECT_FALSE(is_among(patterns, left)) << left;
    }
    EXPECT_FALSE(is_among({}, "a.org"));
    EXPECT_TRUE(is_among(std::vector<std::string>{"*"}, "a.org"));
}

TEST(DomainPattern, IsSpeltAsDomainsAre) {
    EXPECT_EQ(*parse_domain_pattern("A.Org"), "a.org");
    EXPECT_EQ(*parse_domain_pattern("*.München.example"), "*.xn--mnchen-3ya.example");
    EXPECT_EQ(*parse_domain_pattern("*"), "*");
    for (const char* none : {"", "*.", "**", "a.*.org", "*a.org", "*.*.org", "@a.org", "a..org"}) {
        EXPECT_FALSE(parse_domain_pattern(none)) << none;
    }
}

}  // namespace
}  // namespace muster::cluster
