#include "base/password.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

// RFC 7677, section 3: user "user", password "pencil".
TEST(Password, MatchesTheExampleOfRfc7677) {
    const std::string salt("\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81", 16);
    const auto key = make_scram_sha256("pencil", salt, 4096);
    ASSERT_TRUE(key);
    EXPECT_EQ(*key,
              "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,"
              "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
              "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
}

// Made by `doveadm pw` of Dovecot 2.3.19.
constexpr const char* kMadeByDovecot[] = {
    "{SCRAM-SHA-256}4096,7H+ISCQ8dEFKPmcGPhkS6w==,LA+kK190TGBE09mOgP0QZsQ7XWrn0v2daZw+TiamPcc=,"
    "H5vgTZfgzw+8XhL90/2QTCnCm2CbtfZ9R2paIO0O31c=",
    "{SCRAM-SHA-1}4096,toWMl10fH9Kgsdv48yJOzw==,RIiibjrIBQ09Nc2n7ihAD383I0U=,"
    "H7Nm/P7hXmtHaLz3jgNyfsCJXRE=",
    "{SHA512-CRYPT}$6$TlIOoE10L.OL78Ir$yhE1e.uWSsLYqjoYysHFHkalRSklURfUPPPHXY2OQx4TCOGk9ch0UHnIzXj"
    "qUT2I1J3aerJKlLIerLFVGgKcs0",
    "{BLF-CRYPT}$2y$05$Cocnm3juGZvkRwWiaFtV2uhNQVCMud6UYCxQJ9ywmWNnPugtyvun."};

TEST(Password, VerifiesWhatDovecotMade) {
    for (const char* key : kMadeByDovecot) {
        EXPECT_TRUE(verify_password(key, "secret").value_or(false)) << key;
        EXPECT_FALSE(verify_password(key, "Secret").value_or(true)) << key;
        EXPECT_FALSE(verify_password(key, "").value_or(true)) << key;
        EXPECT_FALSE(verify_password(key, std::string_view("secret\0x", 8)).value_or(true)) << key;
    }
}

TEST(Password, SaltsDifferAndVerify) {
    const auto one = make_scram_sha256("geheim-ä");
    const auto two = make_scram_sha256("geheim-ä");
    ASSERT_TRUE(one && two);
    EXPECT_NE(*one, *two);
    EXPECT_TRUE(verify_password(*one, "geheim-ä").value_or(false));
}

TEST(Password, RefusesWhatNobodyCouldTypeOrStore) {
    EXPECT_FALSE(make_scram_sha256(""));
    EXPECT_FALSE(make_scram_sha256(std::string(kMaxPassword + 1, 'x')));
    EXPECT_FALSE(make_scram_sha256(std::string_view("a\0b", 3)));
}

TEST(Password, DamagedAndForeignKeysAreErrors) {
    for (const char* key :
         {"secret", "{}x", "{PLAIN-MD4}x", "{SCRAM-SHA-256}", "{SCRAM-SHA-256}0,YQ==,YQ==,YQ==",
          "{SCRAM-SHA-256}99999999999,YQ==,YQ==,YQ==", "{SCRAM-SHA-256}1,!,YQ==,YQ==",
          "{SCRAM-SHA-256}1,YQ==,YQ==,YQ==,YQ==", "{SHA512-CRYPT}*0", "{CRYPT}"}) {
        EXPECT_FALSE(verify_password(key, "secret")) << key;
    }
}

TEST(Password, SchemeIsWhatStandsInBraces) {
    EXPECT_EQ(password_scheme("{BLF-CRYPT}$2y$"), "BLF-CRYPT");
    EXPECT_EQ(password_scheme("secret"), "");
    EXPECT_EQ(password_scheme("{open"), "");
}

}  // namespace
}  // namespace muster
