#include "wire/sasl.h"

#include <gtest/gtest.h>

namespace muster::wire::sasl {
namespace {

using namespace std::literals;

TEST(Mechanisms, routable_ones) {
    for (auto text : {"PLAIN", "login", "SCRAM-SHA-1", "scram-sha-256", "OAuthBearer", "XOAUTH2"}) {
        auto mechanism = routable(text);
        ASSERT_TRUE(mechanism) << text;
        EXPECT_EQ(routable(name(*mechanism)), mechanism);
    }
    for (auto text : {"", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "CRAM-MD5", "DIGEST-MD5",
                      "NTLM", "GSSAPI", "EXTERNAL", "ANONYMOUS", "PLAIN ", "APOP", "SCRAM-SHA-512"})
        EXPECT_FALSE(routable(text)) << text;
    EXPECT_TRUE(reveals_secret(Mechanism::XOAuth2));
    EXPECT_FALSE(reveals_secret(Mechanism::ScramSha1));
    EXPECT_FALSE(can_rewrite(Mechanism::ScramSha256));
    EXPECT_TRUE(can_rewrite(Mechanism::Plain));
}

TEST(AuthRequest, mechanism_and_initial_response) {
    auto none = parse_auth_request("PLAIN");
    ASSERT_TRUE(none);
    EXPECT_EQ(none->mechanism, "PLAIN");
    EXPECT_FALSE(none->initial);
    EXPECT_EQ(parse_auth_request("plain AGEAYg==")->initial, "AGEAYg==");
    EXPECT_EQ(parse_auth_request("XOAUTH2 =")->initial, "");
    EXPECT_FALSE(parse_auth_request("PLAIN ")->initial);
    for (auto text : {""sv, " "sv, "PL(AIN"sv, "PLAIN a b"sv, "PLAIN \xff"sv, "PLAIN a\tb"sv,
                      "A234567890123456789012"sv, "PLAIN\0"sv, "\"PLAIN\""sv})
        EXPECT_FALSE(parse_auth_request(text)) << text;
}

TEST(Plain, parts) {
    auto plain = parse_plain("\0kate@domain1.dom\0pa ss\xff"sv);
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->authzid, "");
    EXPECT_EQ(plain->authcid, "kate@domain1.dom");
    EXPECT_EQ(plain->password, "pa ss\xff");
    EXPECT_EQ(parse_plain("z\0c\0p"sv)->authzid, "z");
    EXPECT_EQ(parse_plain("\0c\0"sv)->password, "");
    for (auto text : {""sv, "\0"sv, "a\0b"sv, "\0\0p"sv, "z\0\0p"sv, "\0c\0p\0"sv, "a\0b\0c\0d"sv,
                      "\0c\n\0p"sv, "z\x01\0c\0p"sv})
        EXPECT_FALSE(parse_plain(text)) << text;
    EXPECT_FALSE(parse_plain('\0' + std::string(kMaxName + 1, 'x') + '\0' + "p"));
    EXPECT_FALSE(parse_plain("\0c\0"s + std::string(kMaxPassword + 1, 'p')));
}

TEST(Plain, written) {
    EXPECT_EQ(write_plain("z", "c", "p"), "z\0c\0p"sv);
    EXPECT_EQ(write_plain("", "c", ""), "\0c\0"sv);
    EXPECT_FALSE(write_plain("", "", "p"));
    EXPECT_FALSE(write_plain("", "c\0x"sv, "p"));
    EXPECT_FALSE(write_plain("", "c", "p\0x"sv));
    EXPECT_FALSE(write_plain("z\0"sv, "c", "p"));
}

struct Row {
    Mechanism mechanism;
    std::string_view message;
    std::string_view authzid;
    std::string_view authcid;
};

TEST(Identity, read_from_the_first_message) {
    for (const auto& [mechanism, message, authzid, authcid] : {
             Row{Mechanism::Plain, "\0kate\0secret"sv, "", "kate"},
             Row{Mechanism::Plain, "kate\0admin\0secret"sv, "kate", "admin"},
             Row{Mechanism::Login, "kate@domain1.dom", "", "kate@domain1.dom"},
             Row{Mechanism::ScramSha1, "n,,n=kate,r=fyko+d2l", "", "kate"},
             Row{Mechanism::ScramSha256, "y,,n=kate,r=fyko,ext=1", "", "kate"},
             Row{Mechanism::ScramSha256, "n,a=z,n=a=2Cb=3Dc,r=x", "z", "a,b=c"},
             Row{Mechanism::OAuthBearer, "n,a=kate@d.dom,\1host=h\1port=143\1auth=Bearer vF9d\1\1",
                 "kate@d.dom", ""},
             Row{Mechanism::OAuthBearer, "n,a=a=2Cb,\1auth=bearer x\1\1", "a,b", ""},
             Row{Mechanism::XOAuth2, "user=kate@d.dom\1auth=Bearer vF9d==\1\1", "", "kate@d.dom"},
             Row{Mechanism::XOAuth2, "auth=Bearer t\1user=kate\1\1", "", "kate"},
         })
        EXPECT_EQ(identity(mechanism, message),
                  (Identity{std::string(authzid), std::string(authcid)}))
            << message;
}

TEST(Identity, refuses_broken_messages) {
    struct Broken {
        Mechanism mechanism;
        std::string_view message;
    };
    for (const auto& [mechanism, message] : {
             Broken{Mechanism::Login, ""sv},
             Broken{Mechanism::Login, "a\0b"sv},
             Broken{Mechanism::ScramSha1, ""sv},
             Broken{Mechanism::ScramSha1, "n"sv},
             Broken{Mechanism::ScramSha1, "n,"sv},
             Broken{Mechanism::ScramSha1, "n,,"sv},
             Broken{Mechanism::ScramSha1, "n,,n=kate"sv},
             Broken{Mechanism::ScramSha1, "n,,n=kate,r="sv},
             Broken{Mechanism::ScramSha1, "n,,n=,r=x"sv},
             Broken{Mechanism::ScramSha1, "n,,r=x,n=kate"sv},
             Broken{Mechanism::ScramSha1, "n,,m=1,n=kate,r=x"sv},
             Broken{Mechanism::ScramSha1, "x,,n=kate,r=x"sv},
             Broken{Mechanism::ScramSha1, "p=tls-unique,,n=kate,r=x"sv},
             Broken{Mechanism::ScramSha1, "n,b=z,n=kate,r=x"sv},
             Broken{Mechanism::ScramSha1, "n,a=,n=kate,r=x"sv},
             Broken{Mechanism::ScramSha1, "n,,n=ka=te,r=x"sv},
             Broken{Mechanism::ScramSha1, "n,,n=ka=2c,r=x"sv},
             Broken{Mechanism::ScramSha1, "n,,n=ka=2,r=x"sv},
             Broken{Mechanism::ScramSha1, "n,,n=kate\0,r=x"sv},
             Broken{Mechanism::ScramSha1, "n,,n=kate,r=x y"sv},
             Broken{Mechanism::ScramSha1, "n,,n=kate,r=x,\0"sv},
             Broken{Mechanism::OAuthBearer, ""sv},
             Broken{Mechanism::OAuthBearer, "\1"sv},
             Broken{Mechanism::OAuthBearer, "n,,\1auth=Bearer t\1\1"sv},
             Broken{Mechanism::OAuthBearer, "n,a=k,auth=Bearer t\1\1"sv},
             Broken{Mechanism::OAuthBearer, "n,a=k,\1auth=Bearer t\1"sv},
             Broken{Mechanism::OAuthBearer, "n,a=k,\1auth=Basic t\1\1"sv},
             Broken{Mechanism::OAuthBearer, "n,a=k,\1host=h\1\1"sv},
             Broken{Mechanism::OAuthBearer, "n,a=k,\1\1"sv},
             Broken{Mechanism::OAuthBearer, "n,a=k,\1auth=Bearer t\1junk\1\1"sv},
             Broken{Mechanism::OAuthBearer, "p=x,a=k,\1auth=Bearer t\1\1"sv},
             Broken{Mechanism::XOAuth2, ""sv},
             Broken{Mechanism::XOAuth2, "user=kate\1\1"sv},
             Broken{Mechanism::XOAuth2, "user=\1auth=Bearer t\1\1"sv},
             Broken{Mechanism::XOAuth2, "auth=Bearer t\1\1"sv},
             Broken{Mechanism::XOAuth2, "user=kate\1User=ada\1auth=Bearer t\1\1"sv},
             Broken{Mechanism::XOAuth2, "user=kate\1auth=Bearer t\1auth=Bearer u\1\1"sv},
             Broken{Mechanism::XOAuth2, "user=ka\0te\1auth=Bearer t\1\1"sv},
             Broken{Mechanism::XOAuth2, "user=kate\1auth=Bearer t"sv},
         })
        EXPECT_FALSE(identity(mechanism, message)) << message;
    for (auto mechanism : {Mechanism::Plain, Mechanism::Login, Mechanism::ScramSha1,
                           Mechanism::OAuthBearer, Mechanism::XOAuth2})
        EXPECT_FALSE(identity(mechanism, std::string(kMaxMessage + 1, 'x')));
    EXPECT_FALSE(identity(Mechanism::ScramSha1, "n,,n=" + std::string(kMaxName + 1, 'x') + ",r=x"));
}

TEST(WithAccount, replaces_the_name_everywhere) {
    struct Change {
        Mechanism mechanism;
        std::string_view before;
        std::string_view account;
        std::string_view after;
    };
    for (const auto& [mechanism, before, account, after] : {
             Change{Mechanism::Plain, "\0kate\0pw"sv, "kate@d", "\0kate@d\0pw"sv},
             Change{Mechanism::Plain, "kate\0kate\0pw"sv, "kate@d", "kate@d\0kate@d\0pw"sv},
             Change{Mechanism::Plain, "kate\0admin\0pw"sv, "kate@d", "kate@d\0admin\0pw"sv},
             Change{Mechanism::Login, "kate", "kate@d", "kate@d"},
             Change{Mechanism::OAuthBearer, "y,a=kate,\1auth=Bearer t\1\1", "ka,t=e@d",
                    "y,a=ka=2Ct=3De@d,\1auth=Bearer t\1\1"},
             Change{Mechanism::XOAuth2, "auth=Bearer t\1user=kate\1\1", "kate@d",
                    "auth=Bearer t\1user=kate@d\1\1"},
         }) {
        auto changed = with_account(mechanism, before, account);
        ASSERT_TRUE(changed);
        EXPECT_EQ(*changed, after);
        EXPECT_EQ(identity(mechanism, *changed)->account(), account);
    }
}

TEST(WithAccount, refuses) {
    EXPECT_EQ(with_account(Mechanism::ScramSha256, "n,,n=kate,r=x", "kate@d").error().kind,
              ErrorKind::Refused);
    EXPECT_FALSE(with_account(Mechanism::XOAuth2, "user=k\1auth=Bearer t\1\1", "a\1b"));
    EXPECT_FALSE(with_account(Mechanism::Plain, "\0kate\0pw"sv, ""));
    EXPECT_FALSE(with_account(Mechanism::Plain, "kate", "kate@d"));
}

TEST(Decode, bounded_base64) {
    EXPECT_EQ(decode("AGEAYg=="), "\0a\0b"sv);
    EXPECT_EQ(decode(""), "");
    EXPECT_FALSE(decode("*"));
    EXPECT_FALSE(decode(std::string((kMaxMessage + 3) / 3 * 4, 'A')));
}

}  // namespace
}  // namespace muster::wire::sasl
