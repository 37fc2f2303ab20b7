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

TEST(ServerCheck, WhatIsOfferedBecomesItemsOfAnEntry) {
    wire::Capabilities imap;
    for (const char* name : {"IMAP4rev1", "IDLE", "STARTTLS", "LOGINDISABLED", "LOGIN-REFERRALS",
                             "AUTH=PLAIN", "AUTH=OAUTHBEARER", "AUTH=CRAM-MD5"}) {
        imap.set(name);
    }
    EXPECT_EQ(entry_items(Service::Imap, imap),
              (Items{"IDLE", "IMAP4rev1", "AUTH=OAUTHBEARER", "AUTH=PLAIN"}));
    wire::Capabilities pop3;
    pop3.set("TOP");
    pop3.set("EXPIRE", "NEVER");
    pop3.set("SASL", "PLAIN SCRAM-SHA-256");
    EXPECT_EQ(entry_items(Service::Pop3, pop3),
              (Items{"EXPIRE NEVER", "TOP", "AUTH=PLAIN", "AUTH=SCRAM-SHA-256"}));
    wire::Capabilities sieve;
    sieve.set("IMPLEMENTATION", "x");
    sieve.set("SIEVE", "fileinto mime");
    sieve.set("SASL", "PLAIN");
    EXPECT_EQ(entry_items(Service::Sieve, sieve), (Items{"fileinto", "mime", "AUTH=PLAIN"}));
}

TEST(ServerCheck, AnOfferIsHeldAgainstWhatIsAnnounced) {
    wire::Capabilities imap;
    for (const char* name : {"IMAP4rev1", "IDLE", "AUTH=PLAIN", "AUTH=XOAUTH2"}) imap.set(name);
    const auto offer = compare_offer(
        Service::Imap, Items{"imap4REV1", "ID", "AUTH=PLAIN", "STARTTLS"}, imap, false);
    EXPECT_EQ(offer.gained, (Items{"IDLE", "AUTH=XOAUTH2"}));
    EXPECT_EQ(offer.lost, Items{"ID"});
    const auto again = compare_offer(Service::Imap, offer.items, imap, false);
    EXPECT_EQ(again.gained, Items{});
    EXPECT_EQ(again.lost, Items{});
}

TEST(ServerCheck, ScramSha1IsNotLearntWhereAccountsHaveNoKeysForIt) {
    wire::Capabilities imap;
    for (const char* name : {"AUTH=PLAIN", "AUTH=SCRAM-SHA-1", "AUTH=SCRAM-SHA-256"}) {
        imap.set(name);
    }
    const auto learnt = [&](const Items& announced, bool own_keys) {
        return compare_offer(Service::Imap, announced, imap, own_keys).items;
    };
    EXPECT_EQ(learnt({"AUTH=PLAIN"}, true), (Items{"AUTH=PLAIN", "AUTH=SCRAM-SHA-256"}));
    EXPECT_EQ(learnt({"AUTH=PLAIN"}, false).size(), 3u);
    EXPECT_EQ(learnt({"AUTH=SCRAM-SHA-1"}, true).size(), 3u);
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
