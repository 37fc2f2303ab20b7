#include "cluster/topology_merge.h"

#include <gtest/gtest.h>

#include "cluster/route.h"

namespace muster::cluster {
namespace {

Domain domain(const std::string& name, DomainKind kind = DomainKind::Shared) {
    Domain result;
    result.name = DomainName(name);
    result.kind = kind;
    return result;
}

Server server(const std::string& name, LoginMode login = LoginMode::Own) {
    Server result;
    result.name = ServerName(name);
    result.node = NodeName("n-" + name);
    result.host = "192.0.2.1";
    result.login = login;
    result.services[static_cast<std::size_t>(Service::Lmtp)] = ServiceSettings{.port = 24};
    return result;
}

NetworkParts own(TopologyParts parts) {
    return {{}, SourceMode::Own, HandTo::Home, std::make_shared<const TopologyParts>(parts)};
}
NetworkParts relay(const std::string& name, TopologyParts parts, HandTo hand_to = HandTo::Home) {
    return {name, SourceMode::Relay, hand_to, std::make_shared<const TopologyParts>(parts)};
}
NetworkParts mirror(const std::string& name, TopologyParts parts) {
    return {name, SourceMode::Mirror, HandTo::Home, std::make_shared<const TopologyParts>(parts)};
}

std::vector<std::string> names(const std::vector<Domain>& domains) {
    std::vector<std::string> result;
    for (const Domain& each : domains) result.push_back(each.name.text);
    return result;
}

TEST(TopologyMerge, OfOneClusterIsThatCluster) {
    TopologyParts parts;
    parts.domains = {domain("a.org"), domain("r.org", DomainKind::Remote)};
    parts.servers = {server("sv1", LoginMode::Token)};
    const TopologyParts merged = merge({own(parts)});
    EXPECT_EQ(merged.domains, parts.domains);
    EXPECT_EQ(merged.servers, parts.servers);
    EXPECT_TRUE(merged.conflicts.empty());
    ASSERT_EQ(merged.networks.size(), 1u);
    EXPECT_TRUE(merged.networks[0].filled);
}

TEST(TopologyMerge, WhatCannotBeReadIsStillWhoseItIs) {
    TopologyParts parts;
    parts.unreadable_domains = {{"a.org", false}};
    TopologyParts theirs;
    theirs.domains = {domain("a.org"), domain("b.org")};
    theirs.unreadable_domains = {{"c.org", false}, {"remote.org", true}};
    TopologyParts later;
    later.domains = {domain("c.org"), domain("remote.org")};
    const TopologyParts merged = merge({own(parts), relay("hq", theirs), relay("z", later)});
    EXPECT_EQ(names(merged.domains), (std::vector<std::string>{"b.org", "remote.org"}));
    const std::map<std::string, bool, std::less<>> unreadable{{"a.org", false}, {"c.org", false}};
    EXPECT_EQ(merged.unreadable_domains, unreadable);
    const std::vector<DomainConflict> conflicts{{DomainName("a.org"), {"", "hq"}},
                                                {DomainName("c.org"), {"hq", "z"}}};
    EXPECT_EQ(merged.conflicts, conflicts);
}

TEST(TopologyMerge, ALoginBelongsToTheDomainOfItsOwnDirectory) {
    const auto with = [](const std::string& user, const std::vector<std::string>& domains) {
        TopologyParts parts;
        for (const std::string& name : domains) {
            parts.domains.push_back(domain(name, DomainKind::Remote));
            parts.deliveries.push_back({DomainName(name), user, "", {}});
        }
        parts.deliveries.push_back({DomainName("nobodys.org"), user, "", {}});
        return parts;
    };
    const auto merged = merge({own(with("own", {"a.org"})), relay("r", with("relay", {"b.org"})),
                               mirror("m", with("mirror", {"a.org", "b.org"}))});
    ASSERT_EQ(merged.deliveries.size(), 2U);
    EXPECT_EQ(merged.deliveries[0].user, "own");
    EXPECT_EQ(merged.deliveries[0].directory, 0U);
    EXPECT_EQ(merged.deliveries[1].domain.text, "b.org");
    EXPECT_EQ(merged.deliveries[1].user, "mirror");
    EXPECT_EQ(merged.deliveries[1].directory, 2U);
    HealthTable health;
    const Topology topology(merged, health);
    EXPECT_EQ(topology.delivery("a.org")->user, "own");
    EXPECT_EQ(topology.delivery("nobodys.org"), nullptr);
}

TEST(TopologyMerge, OfARelayedNetworkItsOwnDomainsAreTakenAndOfAMirroredOneTheRemote) {
    TopologyParts both;
    both.domains = {domain("shared.org"), domain("local.org", DomainKind::Local),
                    domain("remote.org", DomainKind::Remote)};
    both.servers = {server("sv1")};
    using List = std::vector<std::string>;
    const TopologyParts relayed = merge({own({}), relay("hq", both)});
    EXPECT_EQ(names(relayed.domains), (List{"shared.org", "local.org"}));
    EXPECT_EQ(relayed.servers.size(), 1u);
    const TopologyParts mirrored = merge({own({}), mirror("hq", both)});
    EXPECT_EQ(names(mirrored.domains), (List{"remote.org"}));
    EXPECT_TRUE(mirrored.servers.empty());
}

TEST(TopologyMerge, NamesOfOthersServersBearTheirNetworkSoThatNothingCollides) {
    TopologyParts parts;
    parts.domains = {domain("a.org", DomainKind::Local)};
    parts.domains[0].servers = {ServerName("sv1")};
    parts.domains[0].node = NodeName("be1");
    parts.domains[0].unknown_server = ServerName("sv1");
    parts.servers = {server("sv1", LoginMode::Token)};
    TopologyParts here;
    here.servers = {server("sv1", LoginMode::Token)};
    NetworkParts hq = relay("hq", parts);
    hq.authority = "PEM";
    const TopologyParts merged = merge({own(here), hq});
    ASSERT_EQ(merged.servers.size(), 2u);
    EXPECT_EQ(merged.servers[0], here.servers[0]);
    EXPECT_EQ(merged.servers[1].authority, "PEM");
    EXPECT_EQ(merged.servers[1].name.text, "sv1@hq");
    EXPECT_TRUE(merged.servers[1].node.empty());         // none of ours stands beside it
    EXPECT_EQ(merged.servers[1].login, LoginMode::Own);  // tokens are for its own front ends
    EXPECT_EQ(merged.domains[0].servers[0].text, "sv1@hq");
    EXPECT_EQ(merged.domains[0].unknown_server.text, "sv1@hq");
    EXPECT_EQ(merged.domains[0].node.text, "be1@hq");
    EXPECT_EQ(merged.domains[0].directory, 1u);
    EXPECT_FALSE(is_of_own_cluster(merged.servers[1].name.view()));
}

TEST(TopologyMerge, ADomainBelongsToTheFirstThatHasItAndTheOthersAreNamed) {
    TopologyParts parts;
    parts.domains = {domain("x.org"), domain("y.org"), domain("z.org", DomainKind::Remote)};
    TopologyParts here;
    here.domains = {domain("x.org"), domain("z.org")};
    const TopologyParts merged = merge({own(here), relay("north", parts), relay("south", parts)});
    EXPECT_EQ(names(merged.domains), (std::vector<std::string>{"x.org", "z.org", "y.org"}));
    EXPECT_EQ(merged.domains[0].directory, 0u);
    EXPECT_EQ(merged.domains[2].directory, 1u);
    const std::vector<DomainConflict> conflicts{
        {DomainName("x.org"), {"", "north", "south"}},
        {DomainName("y.org"), {"north", "south"}}};  // z.org is nothing to relay there
    EXPECT_EQ(merged.conflicts, conflicts);
}

TEST(TopologyMerge, DedicatedAddressesAndTlsNamesOfAnotherNetworkCountOnlyIfTheyAreLetIn) {
    TopologyParts parts;
    parts.domains = {domain("a.org")};
    parts.domains[0].tls_names = {DomainName("mail.example")};
    parts.domains[0].addresses = {*IpAddress::parse("192.0.2.25")};
    HealthTable health;
    const LoginContext by_name{.tls_name = "mail.example"};
    const LoginContext by_address{.local = *IpAddress::parse("192.0.2.25")};
    NetworkParts hq = relay("hq", parts);
    const Topology closed(merge({own({}), hq}), health);
    EXPECT_EQ(context_domain(closed, by_name), nullptr);
    EXPECT_EQ(context_domain(closed, by_address), nullptr);
    const Topology ours(merge({own(parts)}), health);
    EXPECT_EQ(context_domain(ours, by_name)->name.text, "a.org");
    hq.admission.default_for = true;
    const Topology open(merge({own({}), hq}), health);
    EXPECT_EQ(context_domain(open, by_name)->name.text, "a.org");
    EXPECT_EQ(context_domain(open, by_address)->name.text, "a.org");
}

TEST(TopologyMerge, OwnDomainsAndTheListenerComeBeforeWhatIsLetIn) {
    TopologyParts here;
    here.domains = {domain("own.org"), domain("named.org")};
    here.domains[1].tls_names = {DomainName("mail.example")};
    TopologyParts parts;
    parts.domains = {domain("a.org")};
    parts.domains[0].addresses = {*IpAddress::parse("192.0.2.25")};
    NetworkParts hq = relay("hq", parts);
    hq.admission.default_for = true;
    HealthTable health;
    const Topology topology(merge({own(here), hq}), health);
    LoginContext context{.local = *IpAddress::parse("192.0.2.25")};
    EXPECT_EQ(context_domain(topology, context)->name.text, "a.org");
    context.default_domain = "own.org";
    EXPECT_EQ(context_domain(topology, context)->name.text, "own.org");
    context.tls_name = "mail.example";
    EXPECT_EQ(context_domain(topology, context)->name.text, "named.org");
    context = {.local = *IpAddress::parse("192.0.2.25"), .default_domain = "not-yet.org"};
    EXPECT_EQ(context_domain(topology, context), nullptr);
}

TEST(TopologyMerge, OnlyAdmittedDomainsAreTakenAndTheOthersCounted) {
    TopologyParts parts;
    parts.domains = {domain("b.hq.org"), domain("gmail.com"), domain("hq.org"),
                     domain("mail.net", DomainKind::Remote), domain("own.org")};
    TopologyParts here;
    here.domains = {domain("own.org")};
    NetworkParts hq = relay("hq", parts);
    hq.admission.domains = {"hq.org", "*.hq.org"};
    const TopologyParts merged = merge({own(here), hq});
    EXPECT_EQ(names(merged.domains), (std::vector<std::string>{"own.org", "b.hq.org", "hq.org"}));
    EXPECT_TRUE(merged.conflicts.empty());
    EXPECT_EQ(merged.networks[1].refused, 2u);
    EXPECT_EQ(first_names(merged.networks[1]), "gmail.com, own.org");
    NetworkParts far = mirror("far", parts);
    far.admission.domains = {"partner.net"};
    EXPECT_TRUE(merge({own({}), far}).domains.empty());
}

TEST(TopologyMerge, OfVeryManyDomainsThatAreNotAdmittedTheFirstAreNamed) {
    TopologyParts parts;
    for (int i = 0; i < 1000; ++i) parts.domains.push_back(domain("d" + std::to_string(i)));
    NetworkParts hq = relay("hq", parts);
    hq.admission.domains = {"hq.org"};
    const TopologyParts merged = merge({own({}), hq});
    EXPECT_EQ(merged.networks[1].refused, 1000u);
    EXPECT_EQ(merged.networks[1].refused_first.size(), Network::kMostNamed);
}

TEST(TopologyMerge, WhatAnotherNetworkHasOnThisMachineIsLeftOut) {
    const std::vector<std::string> local{"127.0.0.1",       "127.3.2.1", "::1",
                                         "0.0.0.0",         "::",        "localhost",
                                         "169.254.169.254", "fe80::1",   "::ffff:127.0.0.1"};
    TopologyParts parts;
    parts.domains = {domain("good.org", DomainKind::Remote)};
    parts.domains[0].route = {{"192.0.2.1"}};
    parts.servers = {server("good")};
    parts.nodes.resize(1);
    parts.nodes[0].smtp = {"192.0.2.10:25", "127.0.0.1:25"};
    for (const std::string& host : local) {
        parts.servers.push_back(server("at-" + host));
        parts.servers.back().host = host;
        parts.domains.push_back(
            domain("d" + std::to_string(parts.domains.size()) + ".org", DomainKind::Remote));
        parts.domains.back().route = {{"192.0.2.1"}, {host}};
    }
    NetworkParts hq = relay("hq", parts, HandTo::Master);
    const TopologyParts relayed = merge({own(parts), hq});
    const std::size_t all = parts.servers.size();
    EXPECT_EQ(relayed.servers.size(), all + 2);  // our own may be anywhere
    EXPECT_EQ(relayed.networks[1].exits.size(), 1u);
    EXPECT_EQ(relayed.networks[1].misplaced, local.size() + 1);
    NetworkParts far = mirror("far", parts);
    EXPECT_EQ(names(merge({own({}), far}).domains), (std::vector<std::string>{"good.org"}));
    parts.own_routes = {"d1.org"};
    EXPECT_EQ(names(merge({own({}), mirror("far", parts)}).domains),
              (std::vector<std::string>{"good.org", "d1.org"}));
    hq.admission.local_addresses = far.admission.local_addresses = true;
    EXPECT_EQ(merge({own({}), hq}).servers.size(), all + 2);
    EXPECT_EQ(merge({own({}), far}).domains.size(), local.size() + 1);
}

TEST(TopologyMerge, DedicatedAddressesAndTlsNamesCountOnlyWhereTheyAreFree) {
    TopologyParts here;
    here.domains = {domain("own.org")};
    here.domains[0].tls_names = {DomainName("mail.example")};
    TopologyParts parts;
    parts.domains = {domain("a.org")};
    parts.domains[0].tls_names = {DomainName("mail.example"), DomainName("a.example")};
    HealthTable health;
    NetworkParts hq = relay("hq", parts);
    hq.admission.default_for = true;
    const Topology topology(merge({own(here), hq}), health);
    EXPECT_EQ(topology.domain_of_tls_name("mail.example")->name.text, "own.org");
    EXPECT_EQ(topology.domain_of_tls_name("a.example")->name.text, "a.org");
}

TEST(TopologyMerge, SettingsCertificatesCredentialsAndNodesAreTheOwnClustersOnly) {
    TopologyParts parts;
    parts.settings = {Setting{"banner", "1", {}}};
    parts.certificates = {
        Certificate{.name = "c", .names = {}, .chain = {}, .key = {}, .unknown = {}}};
    parts.credentials = {Credential{ServerName("sv1"), "u", "p", {}}};
    parts.nodes.resize(1);
    const TopologyParts merged = merge({own({}), relay("hq", parts)});
    EXPECT_TRUE(merged.settings.empty());
    EXPECT_TRUE(merged.certificates.empty());
    EXPECT_TRUE(merged.credentials.empty());
    EXPECT_TRUE(merged.nodes.empty());
}

TEST(TopologyMerge, ANetworkThatWasNeverReadHasNoDomainsAndKeepsItsPlace) {
    TopologyParts parts;
    parts.domains = {domain("b.org")};
    const TopologyParts merged =
        merge({own({}), {"new", SourceMode::Relay, HandTo::Home, nullptr}, relay("old", parts)});
    EXPECT_FALSE(merged.networks[1].filled);
    EXPECT_EQ(merged.domains[0].directory, 2u);
}

/// A network whose mail goes to its two front ends; a third one was taken out.
class ExitsTest : public testing::Test {
protected:
    ExitsTest() {
        TopologyParts parts;
        parts.domains = {domain("a.org")};
        parts.servers = {server("sv1")};
        parts.nodes.resize(3);
        parts.nodes[0].smtp = {"192.0.2.10:25", "192.0.2.10:25", "no host"};
        parts.nodes[1].smtp = {"mx.a.org:2525"};
        parts.nodes[2].smtp = {"192.0.2.12:25"};
        parts.nodes[2].revoked = true;
        topology_ = std::make_unique<Topology>(merge({own({}), relay("hq", parts, HandTo::Master)}),
                                               health_);
    }

    std::vector<std::string> order() {
        std::vector<std::string> result;
        const auto servers = mail_servers(*topology_, ServerName("@hq"));
        if (!servers) return {servers.error().detail};
        for (const MailServer& each : *servers) {
            EXPECT_TRUE(each.is_exit);
            EXPECT_EQ(each.service, Service::Smtp);
            result.push_back(each.server->server.name.text);
        }
        return result;
    }
    void take_down(const std::string& name) {
        for (int i = 0; i < 3; ++i) {
            health_.checked({ServerName(name), Service::Smtp}, false, "refused", HealthTime{});
        }
    }

    HealthTable health_;
    std::unique_ptr<Topology> topology_;
};

TEST_F(ExitsTest, AreTakenInTurnAndThoseThatAreDownNotAtAll) {
    using List = std::vector<std::string>;
    EXPECT_EQ(order(), (List{"192.0.2.10:25@hq", "mx.a.org:2525@hq"}));
    EXPECT_EQ(order(), (List{"mx.a.org:2525@hq", "192.0.2.10:25@hq"}));
    take_down("192.0.2.10:25@hq");
    EXPECT_EQ(order(), (List{"mx.a.org:2525@hq"}));
    take_down("mx.a.org:2525@hq");
    EXPECT_EQ(order(), (List{"network-front-ends-down"}));
}

TEST_F(ExitsTest, AreServersThatAreCheckedLikeOthers) {
    const ServerView* exit = topology_->server("mx.a.org:2525@hq");
    ASSERT_TRUE(exit);
    EXPECT_EQ(exit->server.service(Service::Smtp)->port, 2525);
    EXPECT_EQ(check_targets(*topology_).size(), 3u);  // with the one that has the accounts
}

TEST_F(ExitsTest, AHomeOfNoKnownNetworkIsMissing) {
    EXPECT_EQ(mail_servers(*topology_, ServerName("@gone")).error().detail, "home-missing");
    EXPECT_EQ(mail_servers(*topology_, ServerName("sv1@gone")).error().detail, "home-missing");
    EXPECT_EQ(mail_servers(*topology_, ServerName("sv1@hq"))->size(), 1u);
}

}  // namespace
}  // namespace muster::cluster
