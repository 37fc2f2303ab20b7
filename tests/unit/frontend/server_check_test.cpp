#include "frontend/server_check.h"

#include <gtest/gtest.h>

namespace muster::frontend {
namespace {

using cluster::Service;
using Items = std::vector<std::string>;

TEST(ServerCheck, LackingNamesWhatFrontEndsAnnounceInVain) {
    wire::Capabilities imap;
    imap.set("IMAP4rev1");
    imap.set("AUTH=PLAIN");
    EXPECT_EQ(lacking(Service::Imap, Items{"imap4rev1", "AUTH=PLAIN", "STARTTLS"}, imap), Items{});
    EXPECT_EQ(lacking(Service::Imap, Items{"IDLE", "AUTH=SCRAM-SHA-256"}, imap),
              (Items{"IDLE", "AUTH=SCRAM-SHA-256"}));
}

TEST(ServerCheck, LackingReadsListsOfPop3AndSieve) {
    wire::Capabilities pop3;
    pop3.set("SASL", "PLAIN");
    pop3.set("EXPIRE", "NEVER");
    EXPECT_EQ(lacking(Service::Pop3, Items{"AUTH=PLAIN", "EXPIRE 60", "TOP"}, pop3), Items{"TOP"});
    wire::Capabilities sieve;
    sieve.set("SIEVE", "fileinto vacation");
    sieve.set("SASL", "PLAIN");
    EXPECT_EQ(lacking(Service::Sieve, Items{"fileinto", "AUTH=PLAIN", "mime"}, sieve),
              Items{"mime"});
}

TEST(ServerCheck, AnIntroductionIsProvenOnlyIfBothWereBelieved) {
    const Introduced told{Service::Imap, "muster-check-x@d", "192.0.2.7", "s1"};
    const auto results = [&](std::string_view client, std::string_view session) {
        const auto proofs = judge_introduction(told, client, session);
        EXPECT_EQ(proofs.size(), 2U);
        EXPECT_EQ(proofs[0].step, "client-address");
        EXPECT_EQ(proofs[1].step, "session-id");
        return std::pair(proofs[0].proven, proofs[1].proven);
    };
    EXPECT_EQ(results("192.0.2.7", "s1"), std::pair(Proven::Yes, Proven::Yes));
    EXPECT_EQ(results("127.0.0.1", "s1"), std::pair(Proven::No, Proven::Yes));
    EXPECT_EQ(results("192.0.2.7", ""), std::pair(Proven::Yes, Proven::No));
}

TEST(ServerCheck, AFailedIntroductionSaysWhatTheServerTook) {
    const auto proofs =
        judge_introduction({Service::Pop3, "x", "192.0.2.7", "s1"}, "127.0.0.1", "");
    EXPECT_TRUE(proofs[0].detail.contains("127.0.0.1")) << proofs[0].detail;
    EXPECT_TRUE(proofs[1].detail.contains("none")) << proofs[1].detail;
}

}  // namespace
}  // namespace muster::frontend
