#include "delivery/mx_hosts.h"

#include <gtest/gtest.h>

namespace muster::delivery {
namespace {

using net::DnsAnswer;

DnsAnswer answer(DnsAnswer::State state) {
    DnsAnswer result;
    result.state = state;
    return result;
}

DnsAnswer mx(std::vector<net::MxRecord> records) {
    auto result = answer(DnsAnswer::State::Found);
    result.mx = std::move(records);
    return result;
}

DnsAnswer addresses(const std::vector<std::string>& texts, bool secure = false) {
    auto result = answer(texts.empty() ? DnsAnswer::State::NoData : DnsAnswer::State::Found);
    for (const auto& text : texts) result.addresses.push_back(*IpAddress::parse(text));
    result.secure = secure;
    return result;
}

std::string names(const MxPlan& plan) {
    std::string text;
    for (const auto& host : plan.hosts) text += host.name + " ";
    return text;
}

std::string tried(const MxHosts& hosts) {
    std::string text;
    for (const auto& one : hosts.addresses) text += one.endpoint.text() + " ";
    return text;
}

MxRules rules() {
    MxRules result;
    result.own_names = {"us.example"};
    result.own_addresses = {*IpAddress::parse("192.0.2.99")};
    return result;
}

TEST(MxPlan, HostsInTheOrderOfPreference) {
    const auto plan = plan_hosts(
        "x.example", mx({{20, "c"}, {10, "a"}, {10, "b"}, {10, "a"}, {5, "192.0.2.1"}}), rules());
    EXPECT_EQ(names(plan), "a b c ");
}

TEST(MxPlan, EqualOnesAreShuffled) {
    auto shuffled = rules();
    shuffled.random = [](std::size_t) { return std::size_t{0}; };
    const auto plan =
        plan_hosts("x.example", mx({{10, "a"}, {10, "b"}, {10, "c"}, {5, "z"}}), shuffled);
    EXPECT_TRUE(names(plan).starts_with("z "));
    EXPECT_NE(names(plan), "z a b c ");
    EXPECT_EQ(plan.hosts.size(), 4U);
}

TEST(MxPlan, WithoutMxTheDomainItself) {
    EXPECT_EQ(names(plan_hosts("x.example", answer(DnsAnswer::State::NoData), rules())),
              "x.example ");
}

TEST(MxPlan, Failures) {
    struct Row {
        DnsAnswer mx;
        Outcome outcome;
        std::string status;
    };
    const Row rows[] = {
        {answer(DnsAnswer::State::NoName), Outcome::Refused, "5.1.2"},
        {answer(DnsAnswer::State::Failed), Outcome::Deferred, "4.4.3"},
        {answer(DnsAnswer::State::Bogus), Outcome::Deferred, "4.4.3"},
        {mx({{0, ""}}), Outcome::Refused, "5.1.10"},
        {mx({}), Outcome::Refused, "5.4.4"},
        {mx({{10, "us.example"}, {10, "a"}, {20, "b"}}), Outcome::Refused, "5.4.6"},
    };
    for (const Row& row : rows) {
        const auto plan = plan_hosts("x.example", row.mx, rules());
        EXPECT_TRUE(plan.hosts.empty()) << row.status;
        EXPECT_EQ(plan.failure.outcome, row.outcome) << row.status;
        EXPECT_EQ(plan.failure.enhanced.text(), row.status);
    }
}

TEST(MxPlan, ABackUpExchangerSendsToBetterOnesOnly) {
    const auto plan =
        plan_hosts("x.example", mx({{5, "a"}, {10, "us.example"}, {10, "b"}, {20, "c"}}), rules());
    EXPECT_EQ(names(plan), "a ");
    EXPECT_TRUE(plan.loops);
}

TEST(MxPlan, ThousandsOfHostsAreNotAsked) {
    std::vector<net::MxRecord> many;
    for (int i = 0; i < 90; ++i) many.push_back({10, "h" + std::to_string(i)});
    EXPECT_EQ(plan_hosts("x.example", mx(many), rules()).hosts.size(), 10U);
}

MxPlan two_hosts() {
    MxPlan plan;
    plan.hosts = {{"a", 10}, {"b", 20}};
    return plan;
}

TEST(MxHosts, AddressFamiliesInTurn) {
    const auto hosts =
        put_together(two_hosts(),
                     {{addresses({"192.0.2.1", "192.0.2.2"}), addresses({"2001:db8::1"})},
                      {addresses({"192.0.2.3"}), addresses({})}},
                     25, rules());
    EXPECT_EQ(tried(hosts), "[2001:db8::1]:25 192.0.2.1:25 192.0.2.2:25 192.0.2.3:25 ");
}

TEST(MxHosts, OurOwnAddressCutsOffWhatIsNoBetter) {
    auto hosts = put_together(
        two_hosts(),
        {{addresses({"192.0.2.1"}), addresses({})}, {addresses({"192.0.2.99"}), addresses({})}}, 25,
        rules());
    EXPECT_EQ(tried(hosts), "192.0.2.1:25 ");
    hosts = put_together(
        two_hosts(),
        {{addresses({"192.0.2.99"}), addresses({})}, {addresses({"192.0.2.1"}), addresses({})}}, 25,
        rules());
    EXPECT_EQ(tried(hosts), "");
    EXPECT_EQ(hosts.failure.enhanced.text(), "5.4.6");
}

TEST(MxHosts, OneHostThatIsFoundIsEnough) {
    const auto failed = answer(DnsAnswer::State::Failed);
    EXPECT_EQ(
        tried(put_together(two_hosts(), {{failed, failed}, {addresses({"192.0.2.3"}), failed}}, 25,
                           rules())),
        "192.0.2.3:25 ");
}

TEST(MxHosts, WithoutAddressesItDependsOnWhy) {
    const auto none = answer(DnsAnswer::State::NoName);
    const auto failed = answer(DnsAnswer::State::Failed);
    EXPECT_EQ(put_together(two_hosts(), {{none, none}, {none, none}}, 25, rules())
                  .failure.enhanced.text(),
              "5.4.4");
    EXPECT_EQ(put_together(two_hosts(), {{none, none}, {none, failed}}, 25, rules())
                  .failure.enhanced.text(),
              "4.4.3");
}

TEST(MxHosts, SecureWhenMxAndAddressAre) {
    auto plan = two_hosts();
    plan.secure = true;
    auto alias = addresses({"192.0.2.1"}, true);
    alias.canonical_name = "real";
    const auto hosts = put_together(
        plan, {{alias, addresses({"2001:db8::1"})}, {addresses({}), addresses({})}}, 25, rules());
    ASSERT_EQ(hosts.addresses.size(), 2U);
    EXPECT_FALSE(hosts.addresses[0].secure);
    EXPECT_TRUE(hosts.addresses[1].secure);
    EXPECT_EQ(hosts.addresses[1].tlsa_host, "real");
    plan.secure = false;
    EXPECT_FALSE(
        put_together(plan, {{alias, addresses({})}, {addresses({}), addresses({})}}, 25, rules())
            .addresses[0]
            .secure);
}

TEST(MxHosts, AddressesAreBounded) {
    std::vector<std::string> many;
    for (int i = 1; i < 90; ++i) many.push_back("192.0.2." + std::to_string(i));
    const auto hosts = put_together(
        two_hosts(), {{addresses(many), addresses({})}, {addresses({}), addresses({})}}, 25, {});
    EXPECT_EQ(hosts.addresses.size(), 20U);
}

TEST(Destination, AsOperatorsWriteThem) {
    using Kind = Destination::Kind;
    struct Row {
        std::string text;
        Destination destination;
    };
    const Row rows[] = {
        {"example.net", {Kind::Domain, "example.net", 25}},
        {"example.net:2525", {Kind::Domain, "example.net", 2525}},
        {"[mail.example.net]:587", {Kind::Host, "mail.example.net", 587}},
        {"[192.0.2.1]", {Kind::Host, "192.0.2.1", 25}},
        {"[IPv6:2001:db8::1]:26", {Kind::Host, "2001:db8::1", 26}},
    };
    for (const Row& row : rows) {
        const auto parsed = Destination::parse(row.text);
        ASSERT_TRUE(parsed.has_value()) << row.text;
        EXPECT_EQ(*parsed, row.destination) << row.text;
        EXPECT_EQ(parsed->text(), row.text);
    }
    for (const std::string text : {"", "[", "[]", "[a", "x:", "x:0", "x:99999", "[a]b", "a b:25",
                                   "[IPv6:192.0.2.1]", "x:25:25", "..", "[a]:"}) {
        EXPECT_FALSE(Destination::parse(text).has_value()) << text;
    }
}

TEST(Destination, OfARecipientsDomain) {
    EXPECT_EQ(Destination::of_domain("Example.NET")->name, "example.net");
    EXPECT_EQ(Destination::of_domain("[192.0.2.1]")->kind, Destination::Kind::Host);
    EXPECT_EQ(Destination::of_domain("[IPv6:2001:db8::1]")->name, "2001:db8::1");
    EXPECT_FALSE(Destination::of_domain("[mail.example]").has_value());
    EXPECT_FALSE(Destination::of_domain("example.net:25").has_value());
    EXPECT_FALSE(Destination::of_domain("[192.0.2.1").has_value());
}

}  // namespace
}  // namespace muster::delivery
