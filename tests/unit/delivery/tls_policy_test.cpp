#include "delivery/tls_policy.h"

#include <gtest/gtest.h>

#include "delivery/sts_cache.h"

namespace muster::delivery {
namespace {

using Verify = TlsPolicy::Verify;
using State = DaneFacts::State;

TEST(TlsPolicy, Table) {
    struct Row {
        TlsSetting setting;
        State dane;
        StsVerdict sts;
        bool usable;
        MailTls mode;
        Verify verify;
    };
    using enum TlsSetting;
    using Sts = StsVerdict;
    const Row rows[] = {
        {Automatic, State::Absent, Sts::None, true, MailTls::Opportunistic, Verify::Nothing},
        {Automatic, State::Absent, Sts::Testing, true, MailTls::Opportunistic, Verify::Nothing},
        {Automatic, State::Absent, Sts::Match, true, MailTls::Required, Verify::Authority},
        {Automatic, State::Absent, Sts::Mismatch, false, MailTls::Required, Verify::Nothing},
        {Automatic, State::Present, Sts::None, true, MailTls::Required, Verify::Dane},
        {Automatic, State::Present, Sts::Mismatch, true, MailTls::Required, Verify::Dane},
        {Automatic, State::Unusable, Sts::None, true, MailTls::Required, Verify::Nothing},
        {Automatic, State::Unusable, Sts::Match, true, MailTls::Required, Verify::Authority},
        {Automatic, State::Failed, Sts::Match, false, MailTls::Required, Verify::Nothing},
        {None, State::Present, Sts::Match, true, MailTls::None, Verify::Nothing},
        {Opportunistic, State::Present, Sts::Match, true, MailTls::Opportunistic, Verify::Nothing},
        {Encrypted, State::Absent, Sts::None, true, MailTls::Required, Verify::Nothing},
        {Verified, State::Failed, Sts::Mismatch, true, MailTls::Required, Verify::Authority},
    };
    int number = 0;
    for (const Row& row : rows) {
        DaneFacts dane;
        dane.state = row.dane;
        const auto policy = tls_policy(row.setting, dane, row.sts);
        EXPECT_EQ(policy.usable, row.usable) << number;
        EXPECT_EQ(policy.mode, row.mode) << number;
        EXPECT_EQ(policy.verify, row.verify) << number;
        EXPECT_TRUE(policy.usable || !policy.reason.empty()) << number;
        ++number;
    }
}

net::DnsAnswer tlsa(std::vector<net::TlsaRecord> records, bool secure = true) {
    net::DnsAnswer answer;
    answer.state = net::DnsAnswer::State::Found;
    answer.secure = secure;
    answer.tlsa = std::move(records);
    return answer;
}

TEST(DaneFacts, OnlyValidatedUsableRecordsCount) {
    const std::string digest(32, 'd');
    EXPECT_EQ(dane_facts(tlsa({{3, 1, 1, digest}})).state, State::Present);
    EXPECT_EQ(dane_facts(tlsa({{3, 1, 1, digest}}, false)).state, State::Absent);
    const net::TlsaRecord unusable[] = {{0, 1, 1, digest}, {1, 1, 1, digest},  {3, 2, 1, digest},
                                        {3, 1, 3, digest}, {3, 1, 1, "short"}, {2, 1, 2, digest},
                                        {3, 1, 0, ""}};
    for (const auto& record : unusable) {
        EXPECT_EQ(dane_facts(tlsa({record})).state, State::Unusable);
    }
    EXPECT_EQ(dane_facts(tlsa({unusable[0], {2, 0, 1, digest}})).records.size(), 1U);
    net::DnsAnswer none;
    none.state = net::DnsAnswer::State::NoName;
    EXPECT_EQ(dane_facts(none).state, State::Absent);
    none.state = net::DnsAnswer::State::Bogus;
    EXPECT_EQ(dane_facts(none).state, State::Failed);
}

TEST(StsVerdict, OfAPolicy) {
    wire::mta_sts::Policy policy;
    policy.mode = wire::mta_sts::Mode::Enforce;
    policy.patterns = {"*.example.net"};
    EXPECT_EQ(judge(policy, "mx.example.net"), StsVerdict::Match);
    EXPECT_EQ(judge(policy, "mx.example.org"), StsVerdict::Mismatch);
    policy.mode = wire::mta_sts::Mode::Testing;
    EXPECT_EQ(judge(policy, "mx.example.org"), StsVerdict::Testing);
    policy.mode = wire::mta_sts::Mode::None;
    EXPECT_EQ(judge(policy, "mx.example.org"), StsVerdict::None);
    EXPECT_EQ(judge(std::nullopt, "mx.example.org"), StsVerdict::None);
}

}  // namespace
}  // namespace muster::delivery
