#include "delivery/tls_policy.h"

#include <utility>

namespace muster::delivery {
namespace {

using Verify = TlsPolicy::Verify;
using State = DaneFacts::State;

bool is_usable(const net::TlsaRecord& record) {
    constexpr std::uint8_t kTrustAnchor = 2;
    constexpr std::uint8_t kEndEntity = 3;
    constexpr std::size_t kSha256 = 32;
    constexpr std::size_t kSha512 = 64;
    if (record.usage != kTrustAnchor && record.usage != kEndEntity) return false;
    if (record.selector > 1) return false;
    switch (record.matching) {
        case 0: return !record.data.empty();
        case 1: return record.data.size() == kSha256;
        case 2: return record.data.size() == kSha512;
        default: return false;
    }
}

TlsPolicy not_now(std::string reason) {
    return {false, MailTls::Required, Verify::Nothing, std::move(reason)};
}

TlsPolicy by_sts(StsVerdict sts, MailTls otherwise) {
    switch (sts) {
        case StsVerdict::Match: return {true, MailTls::Required, Verify::Authority, "MTA-STS"};
        case StsVerdict::Mismatch:
            return not_now("the domain's MTA-STS policy does not name this host");
        case StsVerdict::Testing:
        case StsVerdict::None: break;
    }
    return {true, otherwise, Verify::Nothing, {}};
}

/// MTA-STS never loosens what DANE asks for (RFC 8461, 2).
TlsPolicy automatic(const DaneFacts& dane, StsVerdict sts) {
    switch (dane.state) {
        case State::Present: return {true, MailTls::Required, Verify::Dane, "DANE"};
        case State::Failed: return not_now("the host's TLSA records cannot be looked up");
        case State::Unusable: return by_sts(sts, MailTls::Required);
        case State::Absent: break;
    }
    return by_sts(sts, MailTls::Opportunistic);
}

Result<std::shared_ptr<const net::TlsClient>> make_client(net::TlsTrust::Kind kind) {
    net::TlsTrust trust;
    trust.kind = kind;
    return net::TlsClient::create(std::move(trust));
}

}  // namespace

DaneFacts dane_facts(const net::DnsAnswer& tlsa) {
    using Answer = net::DnsAnswer::State;
    if (tlsa.state == Answer::Failed || tlsa.state == Answer::Bogus) return {State::Failed};
    if (tlsa.state != Answer::Found || !tlsa.secure) return {};
    DaneFacts facts{State::Unusable};
    for (const net::TlsaRecord& record : tlsa.tlsa) {
        if (!is_usable(record)) continue;
        facts.state = State::Present;
        facts.records.push_back(record);
    }
    return facts;
}

// The caller's loop and the resolver outlive its task.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<DaneFacts> find_dane(net::Loop& loop, net::Resolver& resolver, MxAddress host) {
    DaneFacts facts;
    if (!host.secure) co_return facts;
    const std::string prefix = "_" + std::to_string(host.endpoint.port) + "._tcp.";
    std::string base = host.tlsa_host;
    for (;;) {
        const auto answer = co_await resolver.ask(loop, prefix + base, net::DnsType::Tlsa);
        facts = dane_facts(answer);
        facts.base = base;
        if (facts.state != State::Absent || base == host.host) co_return facts;
        base = host.host;
    }
}

TlsPolicy tls_policy(TlsSetting setting, const DaneFacts& dane, StsVerdict sts) {
    switch (setting) {
        case TlsSetting::None: return {true, MailTls::None, Verify::Nothing, {}};
        case TlsSetting::Opportunistic: return {true, MailTls::Opportunistic, Verify::Nothing, {}};
        case TlsSetting::Encrypted: return {true, MailTls::Required, Verify::Nothing, {}};
        case TlsSetting::Verified: return {true, MailTls::Required, Verify::Authority, {}};
        case TlsSetting::Automatic: break;
    }
    return automatic(dane, sts);
}

Result<std::shared_ptr<const net::TlsClient>> tls_client(const TlsPolicy& policy,
                                                         const DaneFacts& dane,
                                                         std::vector<std::string> also_names) {
    switch (policy.verify) {
        case Verify::Nothing: {
            static const auto client = make_client(net::TlsTrust::Kind::Nothing);
            return client;
        }
        case Verify::Authority: {
            static const auto client = make_client(net::TlsTrust::Kind::Authority);
            return client;
        }
        case Verify::Dane: break;
    }
    net::TlsTrust trust;
    trust.kind = net::TlsTrust::Kind::Dane;
    trust.tlsa = dane.records;
    trust.also_names = std::move(also_names);
    return net::TlsClient::create(std::move(trust));
}

}  // namespace muster::delivery
