#include "net/dns.h"

#include <gtest/gtest.h>

#include "unit/net/dns_server.h"

namespace muster::net {
namespace {

class DnsTest : public ::testing::Test {
protected:
    DnsAnswer ask(const std::string& name, DnsType type) {
        if (!resolver_) {
            server_.start();
            ResolverSettings settings;
            settings.servers = {server_.name()};
            settings.time_out = Duration(500);
            auto made = Resolver::create(settings);
            EXPECT_TRUE(made.has_value()) << made.error().detail;
            resolver_ = std::move(*made);
        }
        Loop loop;
        DnsAnswer answer;
        loop.tasks().spawn(into(loop, name, type, &answer));
        loop.stop_when_idle();
        loop.run();
        return answer;
    }
    Task<void> into(Loop& loop, std::string name, DnsType type, DnsAnswer* answer) {
        *answer = co_await resolver_->ask(loop, std::move(name), type);
    }
    Task<void> into_hastily(Loop& loop, std::string name, DnsType type, DnsAnswer* answer) {
        *answer = co_await resolver_->ask(loop, std::move(name), type, Duration(20));
    }
    void record(std::string_view name, DnsType type, std::vector<std::string> data) {
        server_.records[{wire_name(name), static_cast<unsigned>(type)}] = std::move(data);
    }

    DnsServer server_;
    std::unique_ptr<Resolver> resolver_;
};

TEST_F(DnsTest, RecordsOfEachType) {
    record("x.example", DnsType::Mx,
           {u16(20) + wire_name("B.example"), u16(10) + wire_name("a.example")});
    record("null.example", DnsType::Mx, {u16(0) + std::string(1, '\0')});
    record("x.example", DnsType::A, {std::string("\xc0\x00\x02\x01", 4)});
    record("x.example", DnsType::Txt, {std::string("\x03v=S\x02TS", 7)});
    record("_25._tcp.x.example", DnsType::Tlsa, {std::string("\x03\x01\x01") + "digest"});
    record("1.2.0.192.in-addr.arpa", DnsType::Ptr, {wire_name("host.x.example")});

    const auto mx = ask("X.example.", DnsType::Mx);
    EXPECT_EQ(mx.state, DnsAnswer::State::Found);
    ASSERT_EQ(mx.mx.size(), 2U);
    EXPECT_EQ(std::max(mx.mx[0].host, mx.mx[1].host), "b.example");
    EXPECT_FALSE(mx.secure);
    EXPECT_GT(mx.ttl, 200U);
    EXPECT_EQ(ask("null.example", DnsType::Mx).mx.at(0).host, "");
    EXPECT_EQ(ask("x.example", DnsType::A).addresses.at(0).text(), "192.0.2.1");
    EXPECT_EQ(ask("x.example", DnsType::Txt).texts.at(0), "v=STS");
    const auto tlsa = ask("_25._tcp.x.example", DnsType::Tlsa).tlsa;
    ASSERT_EQ(tlsa.size(), 1U);
    EXPECT_EQ(tlsa[0], (TlsaRecord{3, 1, 1, "digest"}));
    EXPECT_EQ(ask(reverse_name(*IpAddress::parse("192.0.2.1")), DnsType::Ptr).names.at(0),
              "host.x.example");
}

TEST_F(DnsTest, OfVeryManyMxRecordsThePreferredAreKept) {
    constexpr unsigned kMany = 120;
    std::vector<std::string> records;
    for (unsigned i = kMany; i > 0; --i)
        records.push_back(u16(i) + wire_name("a" + std::to_string(i)));
    record("many.example", DnsType::Mx, records);
    const auto mx = ask("many.example", DnsType::Mx).mx;
    ASSERT_EQ(mx.size(), DnsAnswer::kMaxRecords);
    for (const MxRecord& one : mx) EXPECT_LE(one.preference, DnsAnswer::kMaxRecords);
}

TEST_F(DnsTest, AbsenceHasTwoKinds) {
    record("x.example", DnsType::A, {std::string("\xc0\x00\x02\x01", 4)});
    EXPECT_EQ(ask("x.example", DnsType::Mx).state, DnsAnswer::State::NoData);
    EXPECT_EQ(ask("y.example", DnsType::Mx).state, DnsAnswer::State::NoName);
}

TEST_F(DnsTest, NamesThatCannotBeAreNotAsked) {
    for (const std::string& name :
         {std::string(), std::string("a b"), std::string("a..b"), std::string(".a"),
          std::string(64, 'a'), std::string("x.\xc3\xa9"), std::string("a\0b", 3),
          std::string(300, 'a')}) {
        EXPECT_EQ(ask(name, DnsType::A).state, DnsAnswer::State::NoName) << name;
    }
}

TEST_F(DnsTest, AServerThatIsSilentFailsInTime) {
    const auto answer = ask("silent.example", DnsType::A);
    EXPECT_EQ(answer.state, DnsAnswer::State::Failed);
    EXPECT_FALSE(answer.reason.empty());
}

TEST_F(DnsTest, SilentServersDoNotPileUpQuestions) {
    record("x.example", DnsType::A, {std::string("\xc0\x00\x02\x01", 4)});
    EXPECT_EQ(ask("x.example", DnsType::A).state, DnsAnswer::State::Found);
    constexpr std::size_t kMany = 600;
    std::vector<DnsAnswer> answers(kMany);
    Loop loop;
    for (auto& answer : answers) {
        loop.tasks().spawn(into_hastily(loop, "silent.example", DnsType::A, &answer));
    }
    loop.stop_when_idle();
    loop.run();
    for (const auto& answer : answers) EXPECT_EQ(answer.reason, "no answer in time");
    DnsAnswer hasty;
    Loop later;
    later.tasks().spawn(into_hastily(later, "x.example", DnsType::A, &hasty));
    later.stop_when_idle();
    later.run();
    EXPECT_EQ(hasty.reason, "too many questions have no answer");
    EXPECT_EQ(ask("x.example", DnsType::A).state, DnsAnswer::State::Found);
}

TEST_F(DnsTest, OddNamesInRecordsAreLeftOut) {
    record("x.example", DnsType::Mx,
           {u16(10) + wire_name("a b.example"), u16(10) + wire_name("ok.example")});
    const auto answer = ask("x.example", DnsType::Mx);
    ASSERT_EQ(answer.mx.size(), 1U);
    EXPECT_EQ(answer.mx[0].host, "ok.example");
}

TEST(Dns, SettingsThatCannotBeUsed) {
    ResolverSettings settings;
    settings.servers = {"not an address"};
    EXPECT_FALSE(Resolver::create(settings).has_value());
    settings.servers = {"127.0.0.1@53"};
    settings.trust_anchor = "/nonexistent/anchor";
    EXPECT_FALSE(Resolver::create(settings).has_value());
}

TEST(Dns, ReverseNames) {
    EXPECT_EQ(reverse_name(*IpAddress::parse("2001:db8::1")),
              "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
}

}  // namespace
}  // namespace muster::net
