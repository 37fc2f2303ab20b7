#include "admin/join_proof.h"

#include <gtest/gtest.h>

#include "base/base64.h"

namespace muster::admin {
namespace {

using namespace std::chrono_literals;

// RFC 7677, section 3.
constexpr std::string_view kUser = "user";
constexpr std::string_view kPassword = "pencil";
constexpr std::string_view kClientNonce = "rOprNGfwEbeRWgbNEkqO";
constexpr std::string_view kServerNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
constexpr std::string_view kChallenge =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
constexpr std::string_view kFinal =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
constexpr std::string_view kServerFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

ScramClient rfc_client() {
    return {kUser, std::string(kPassword), std::string(kClientNonce), "n,,"};
}

ScramKey rfc_key() {
    const auto salt = base64_decode("W22ZaJ0SNY7soEsUEjb6gQ==", 64);
    return *parse_scram_sha256(*make_scram_sha256(kPassword, *salt, 4096));
}

ScramServer rfc_server() {
    return {*parse_scram_first("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"), rfc_key(), kServerNonce};
}

TEST(JoinProof, SpeaksAsInTheExampleOfTheStandard) {
    ScramClient client = rfc_client();
    EXPECT_EQ(client.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    const auto final = client.final(kChallenge, "");
    ASSERT_TRUE(final) << final.error().detail;
    EXPECT_EQ(*final, kFinal);
    EXPECT_TRUE(client.proves_server(kServerFinal));

    const ScramServer server = rfc_server();
    EXPECT_EQ(server.challenge(), kChallenge);
    EXPECT_EQ(scram_nonce(kFinal), server.nonce());
    const auto proof = server.finish(kFinal, "");
    ASSERT_TRUE(proof) << proof.error().detail;
    EXPECT_EQ(*proof, kServerFinal);
}

TEST(JoinProof, AnotherPasswordNonceOrKeyIsRefused) {
    const ScramServer server = rfc_server();
    ScramClient wrong(kUser, "pen", std::string(kClientNonce), "n,,");
    EXPECT_FALSE(server.finish(*wrong.final(kChallenge, ""), ""));
    EXPECT_FALSE(wrong.proves_server(kServerFinal));
    for (const char* bad : {"", "p=", "c=biws,r=x,p=AAAA", "c=biws,r=x", "v=AAAA"}) {
        EXPECT_FALSE(server.finish(bad, "")) << bad;
    }
    std::string altered(kFinal);
    for (std::size_t i = 0; i < altered.size(); ++i) {
        altered[i] = static_cast<char>(altered[i] ^ 1);
        EXPECT_FALSE(server.finish(altered, "")) << i;
        altered[i] = static_cast<char>(altered[i] ^ 1);
    }
    EXPECT_FALSE(rfc_client().proves_server(kServerFinal)) << "nothing was computed yet";
}

TEST(JoinProof, IsBoundToBothKeysAndToWhatIsAsked) {
    const auto speak = [](std::string_view client_sees, std::string_view server_sees) {
        ScramClient client("root", "secret", "abc");
        const ScramServer server(*parse_scram_first(client.first()),
                                 *parse_scram_sha256(*make_scram_sha256("secret")), "def");
        const auto final = client.final(server.challenge(), client_sees);
        return server.finish(*final, server_sees).has_value();
    };
    const std::string data = join_binding_data("m", "n", R"({"scope":"relay"})");
    EXPECT_TRUE(speak(data, data));
    EXPECT_FALSE(speak(data, join_binding_data("other", "n", R"({"scope":"relay"})")));
    EXPECT_FALSE(speak(data, join_binding_data("m", "other", R"({"scope":"relay"})")));
    EXPECT_FALSE(speak(data, join_binding_data("m", "n", R"({"scope":"backend"})")));
    EXPECT_FALSE(speak("", data));
}

TEST(JoinProof, AClientTakesNoChallengeThatMakesGuessingCheap) {
    for (const char* bad :
         {"", "r=abcdef,s=AAAA,i=1", "r=abcdef,s=AAAA,i=4095", "r=abcdef,s=AAAA,i=100000000",
          "r=abcdef,s=,i=4096", "r=abc,s=AAAA,i=4096", "r=xyz,s=AAAA,i=4096",
          "r=abcdef,s=AAAA,i=4096x", "r=abcdef,s=AAAA", "r=abcdef,s=AAAA,i=4096,m=x", "e=other"}) {
        ScramClient client("root", "secret", "abc");
        EXPECT_FALSE(client.final(bad, "")) << bad;
        EXPECT_FALSE(client.proves_server("v=")) << bad;
    }
}

TEST(JoinProof, NamesMayHoldCommasAndEqualSigns) {
    const ScramClient client("a,b=c", "p", "n1");
    EXPECT_EQ(client.first(), "p=muster-pins,,n=a=2Cb=3Dc,r=n1");
    const auto first = parse_scram_first(client.first());
    ASSERT_TRUE(first);
    EXPECT_EQ(first->user, "a,b=c");
    EXPECT_EQ(first->header, kJoinBinding);
    for (const char* bad : {"", "n,,", "n,,n=,r=x", "n,,n=a,r=", "n,,n=a=,r=x", "n,,r=x,n=a",
                            "n,,n=a,r=x,z=1", "n=a,r=x", "n,,n=a,r=\x01"}) {
        EXPECT_FALSE(parse_scram_first(bad)) << bad;
    }
}

TEST(JoinProof, UnknownNamesHaveAStableSaltAndNoPassword) {
    const ScramKey once = unknown_users_key("nobody", "secret");
    const ScramKey again = unknown_users_key("nobody", "secret");
    EXPECT_EQ(once.salt, again.salt);
    EXPECT_EQ(once.salt.size(), 16U);
    EXPECT_EQ(once.iterations, kScramIterations);
    EXPECT_NE(once.salt, unknown_users_key("somebody", "secret").salt);
    EXPECT_NE(once.salt, unknown_users_key("nobody", "other").salt);
    EXPECT_NE(once.stored, again.stored);
}

TEST(JoinProof, ABegunExchangeIsTakenOnceAndNotForLong) {
    Pending<int> pending(2, 30s);
    const auto start = Pending<int>::Clock::now();
    pending.put("a", 1, start);
    EXPECT_EQ(pending.take("a", start), 1);
    EXPECT_FALSE(pending.take("a", start)) << "a replay";
    EXPECT_FALSE(pending.take("never", start));
    pending.put("b", 2, start);
    EXPECT_FALSE(pending.take("b", start + 30s));
    pending.put("c", 3, start);
    pending.put("d", 4, start + 1s);
    pending.put("e", 5, start + 2s);
    EXPECT_FALSE(pending.take("c", start + 2s)) << "the oldest made room";
    EXPECT_EQ(pending.take("d", start + 2s), 4);
    EXPECT_EQ(pending.take("e", start + 2s), 5);
}

}  // namespace
}  // namespace muster::admin
