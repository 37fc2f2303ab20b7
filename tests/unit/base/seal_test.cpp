#include "base/seal.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

const SealSecret kKey = SealSecret::key(std::string(kSealKeyBytes, 'k'));

TEST(Seal, ComesBackWithTheSameSecret) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{5}, std::size_t{1} << 20,
                                   (std::size_t{1} << 20) + 1, std::size_t{3} << 20}) {
        const std::string plain(size, 'x');
        const auto opened = unseal(seal(plain, kKey), kKey);
        ASSERT_TRUE(opened) << opened.error().detail;
        EXPECT_EQ(*opened, plain);
    }
}

TEST(Seal, AlikeIsTheSameForTheSameTextAndKeyAlone) {
    const SealSecret other = SealSecret::key(std::string(kSealKeyBytes, 'o'));
    const std::string sealed = seal_alike("secret", kKey);
    EXPECT_EQ(seal_alike("secret", kKey), sealed);
    EXPECT_NE(seal_alike("secreu", kKey), sealed);
    EXPECT_NE(seal_alike("secret", other), sealed);
    EXPECT_EQ(unseal(sealed, kKey).value_or(""), "secret");
    EXPECT_FALSE(unseal(sealed, other));
}

TEST(Seal, OpensWithItsPassphraseOnly) {
    const std::string sealed = seal("secret", SealSecret::passphrase("correct horse"));
    EXPECT_EQ(unseal(sealed, SealSecret::passphrase("correct horse")).value_or(""), "secret");
    const auto wrong = unseal(sealed, SealSecret::passphrase("other"));
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().kind, ErrorKind::Refused);
    EXPECT_FALSE(unseal(sealed, kKey));
}

TEST(Seal, NoticesEveryChange) {
    const std::string sealed = seal("secret", kKey);
    for (std::size_t i = 0; i < sealed.size(); ++i) {
        std::string changed = sealed;
        changed[i] = static_cast<char>(changed[i] ^ 1);
        EXPECT_FALSE(unseal(changed, kKey)) << i;
        EXPECT_FALSE(unseal(sealed.substr(0, i), kKey)) << i;
    }
}

TEST(Seal, NoticesAMissingOrSwappedSegment) {
    const std::string sealed = seal(std::string((std::size_t{2} << 20) + 7, 'x'), kKey);
    const std::size_t head = 26;
    const std::size_t segment = (1 << 20) + 16;
    EXPECT_FALSE(unseal(sealed.substr(0, head + 2 * segment), kKey));
    EXPECT_FALSE(unseal(sealed.substr(0, head) + sealed.substr(head + segment), kKey));
    EXPECT_FALSE(unseal(sealed.substr(0, head) + sealed.substr(head + segment, segment) +
                            sealed.substr(head, segment) + sealed.substr(head + 2 * segment),
                        kKey));
}

TEST(Seal, TwoSealsOfOneTextDiffer) { EXPECT_NE(seal("a", kKey), seal("a", kKey)); }

TEST(Random, NamesAreLongAndPlain) {
    const std::string name = random_name(16);
    EXPECT_EQ(name.size(), 16U);
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567"), std::string::npos);
    EXPECT_NE(name, random_name(16));
}

}  // namespace
}  // namespace muster
