#include "cluster/address.h"

#include <gtest/gtest.h>

namespace muster::cluster {
namespace {

std::string folded(std::string_view text) {
    const auto address = parse_address(text, CasePolicy::Fold);
    return address ? address->text : "error: " + address.error().detail;
}

TEST(Address, IsSpeltInOneWay) {
    const std::pair<const char*, const char*> rows[] = {
        {"Kate@Domain1.Dom", "kate@domain1.dom"},
        {"kate@domain1.dom.", "kate@domain1.dom"},
        {"k.a-t_e+tag@d", "k.a-t_e+tag@d"},
        {"!#$%&'*+-=?^_`{|}~@d.org", "!#$%&'*+-=?^_`{|}~@d.org"},
        {"kate@Bücher.example", "kate@xn--bcher-kva.example"},
        {"kate@faß.example", "kate@xn--fa-hia.example"},
        {"JÜRGEN@d.org", "jürgen@d.org"},
        {"ju\xcc\x88rgen@d.org", "jürgen@d.org"},  // combining diaeresis, composed
        {"用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"},
    };
    for (const auto& [typed, stored] : rows) EXPECT_EQ(folded(typed), stored) << typed;
}

TEST(Address, CasePolicyKeepsTheLocalPartOnly) {
    EXPECT_EQ(parse_address("KaTe@DoM.org", CasePolicy::Keep)->text, "KaTe@dom.org");
}

TEST(Address, BoundsAre64And255) {
    const std::string local(64, 'x');
    EXPECT_TRUE(parse_address(local + "@d.org", CasePolicy::Fold));
    EXPECT_EQ(parse_address(local + "x@d.org", CasePolicy::Fold).error().kind, ErrorKind::Limit);
    std::string domain;
    while (domain.size() + 64 <= 255) domain += std::string(63, 'a') + '.';
    domain.resize(254, 'b');
    EXPECT_TRUE(parse_address("x@" + domain, CasePolicy::Fold));
    EXPECT_FALSE(parse_address("x@" + domain + "bb", CasePolicy::Fold));
    EXPECT_FALSE(parse_domain(std::string(64, 'a') + ".org"));
    EXPECT_FALSE(parse_address(std::string(1 << 20, 'x') + "@d.org", CasePolicy::Fold));
}

TEST(Address, RefusesWhatIsNone) {
    const std::string_view rows[] = {"",
                                     "kate",
                                     "@d.org",
                                     "kate@",
                                     "a b@d.org",
                                     "a\tb@d.org",
                                     "a\nb@d.org",
                                     "\"a b\"@d.org",
                                     "a..b@d.org",
                                     ".a@d.org",
                                     "a.@d.org",
                                     "a@b@d.org",
                                     "a@d..org",
                                     "a@-d.org",
                                     "a@d-.org",
                                     "a@d org",
                                     "a@d/org",
                                     "a(b)@d.org",
                                     "a/b@d.org",
                                     "a\x7f@d.org",
                                     "a\xc3@d.org",
                                     "a\xff@d.org",
                                     "a\xe2\x80\x8b"
                                     "b@d.org" /* zero width space */,
                                     "a\xe2\x80\xae"
                                     "b@d.org" /* right-to-left override */,
                                     "a\xc2\xa0"
                                     "b@d.org" /* no-break space */,
                                     "a\xed\xa0\x80@d.org" /* surrogate */};
    for (const std::string_view text : rows) {
        EXPECT_TRUE(folded(text).starts_with("error: ")) << text << " gave " << folded(text);
    }
    EXPECT_FALSE(parse_address(std::string_view("a\0b@d.org", 9), CasePolicy::Fold));
    EXPECT_FALSE(parse_address(std::string_view("a@d\0\xc3\xa4.org", 10), CasePolicy::Fold));
}

TEST(Login, MayLackADomain) {
    const auto bare = parse_login("Kate");
    ASSERT_TRUE(bare);
    EXPECT_EQ(bare->local, "Kate");
    EXPECT_FALSE(bare->domain);
    const auto full = parse_login("Kate@BÜCHER.example");
    ASSERT_TRUE(full);
    EXPECT_EQ(full->local, "Kate");
    EXPECT_EQ(full->domain->text, "xn--bcher-kva.example");
    EXPECT_FALSE(parse_login(""));
    EXPECT_FALSE(parse_login("@d.org"));
    EXPECT_FALSE(parse_login("kate@"));
}

TEST(Address, PartsAreViews) {
    const AccountAddress address("kate@domain1.dom");
    EXPECT_EQ(local_of(address), "kate");
    EXPECT_EQ(domain_of(address), "domain1.dom");
}

TEST(PlainName, IsShortAndPlain) {
    EXPECT_EQ(parse_plain_name("sv1").value_or(""), "sv1");
    EXPECT_EQ(parse_plain_name("mail-3.rack_2").value_or(""), "mail-3.rack_2");
    for (const char* bad : {"", "SV1", "-a", ".a", "a b", "a/b", "ä"}) {
        EXPECT_FALSE(parse_plain_name(bad)) << bad;
    }
    EXPECT_FALSE(parse_plain_name(std::string(64, 'a')));
}

}  // namespace
}  // namespace muster::cluster
