#include "net/pki.h"

#include <gtest/gtest.h>

namespace muster::net {
namespace {

CertificateWish authority_wish() {
    return {"Muster cluster", {}, std::chrono::days(3650), CertificateUse::Authority};
}

TEST(Pki, IssuesCertificatesForNamesAndAddresses) {
    const std::string authority_key = make_key();
    const auto authority = self_signed(authority_key, authority_wish());
    ASSERT_TRUE(authority);
    const std::string key = make_key();
    const auto leaf = issue(*authority, authority_key, *public_key_of(key),
                            {"sv1", {"sv1.example.com", "127.0.0.1", "::1"}});
    ASSERT_TRUE(leaf) << leaf.error().detail;
    const auto facts = read_certificate(*leaf);
    ASSERT_TRUE(facts);
    EXPECT_EQ(facts->subject, "sv1");
    EXPECT_EQ(facts->issuer, "Muster cluster");
    EXPECT_EQ(facts->names, (std::vector<std::string>{"sv1.example.com", "127.0.0.1", "::1"}));
    EXPECT_GT(facts->not_after - facts->not_before, std::chrono::days(824));
    EXPECT_TRUE(belong_together(*leaf, key));
    EXPECT_FALSE(belong_together(*leaf, authority_key));
    EXPECT_FALSE(belong_together("x", key));
    EXPECT_FALSE(belong_together(*leaf, "x"));
}

TEST(Pki, APinIsThatOfTheKeyHoweverItIsShown) {
    const std::string key = make_key();
    const auto pin = pin_of(key);
    ASSERT_TRUE(pin);
    EXPECT_TRUE(pin->starts_with("sha256//"));
    EXPECT_EQ(*pin_of(*public_key_of(key)), *pin);
    EXPECT_EQ(*pin_of(*self_signed(key, {"a", {}})), *pin);
    EXPECT_NE(*pin_of(make_key()), *pin);
    EXPECT_FALSE(pin_of("nothing"));
}

TEST(Pki, RefusesNamesThatWouldBeReadAsSyntax) {
    EXPECT_FALSE(self_signed(make_key(), {"a", {"x,DNS:y"}}));
    EXPECT_FALSE(self_signed(make_key(), {"a", {""}}));
}

}  // namespace
}  // namespace muster::net
