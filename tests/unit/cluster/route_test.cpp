#include "cluster/route.h"

#include <gtest/gtest.h>

#include "cluster/capabilities.h"

namespace muster::cluster {
namespace {

const NodeName kHere("fe1");
const HealthTime kNow{std::chrono::hours(1)};

Server server(const std::string& name, ServerKind kind = ServerKind::Dovecot) {
    Server result;
    result.name = ServerName(name);
    result.kind = kind;
    result.host = "192.0.2.1";
    result.services[0] = ServiceSettings{.port = 143};
    return result;
}

Domain domain(const std::string& name, const std::vector<std::string>& servers) {
    Domain result;
    result.name = DomainName(name);
    for (const std::string& each : servers) result.servers.emplace_back(each);
    return result;
}

/// Two servers and a foreign one; a shared domain on all, a domain of node be9 alone.
class RouteTest : public testing::Test {
protected:
    RouteTest() {
        parts_.servers = {server("sv1"), server("sv2"), server("old", ServerKind::Foreign)};
        parts_.domains = {domain("d.org", {"sv1", "sv2"}), domain("local.org", {"sv1"}),
                          domain("empty.org", {})};
        parts_.domains[0].unknown_server = ServerName("sv2");
        parts_.domains[1].kind = DomainKind::Local;
        parts_.domains[1].node = NodeName("be9");
    }

    Located located(const std::string& in, const std::string& home) {
        Located result;
        result.topology = std::make_shared<const Topology>(parts_, health_);
        result.domain = result.topology->domain(in);
        result.address = AccountAddress("kate@" + in);
        result.known = !home.empty();
        if (result.known) {
            result.id = AccountId("abc");
            result.home = ServerName(home == "-" ? "" : home);
        }
        return result;
    }

    std::string went(const Located& who, Service service = Service::Imap,
                     const NodeName& here = kHere) {
        const auto result = route(who, service, here);
        if (!result) return std::string(name(result.error().kind)) + ": " + result.error().detail;
        return result->server->server.name.text + (result->known() ? "" : " unknown");
    }

    void take_down(const std::string& name) {
        const CheckTarget target{ServerName(name), Service::Imap};
        for (int i = 0; i < 3; ++i) health_.checked(target, false, "refused", kNow);
    }

    HealthTable health_;
    TopologyParts parts_;
};

TEST_F(RouteTest, AKnownAccountGoesHome) {
    const auto result = route(located("d.org", "sv1"), Service::Imap, kHere);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->server->server.name.text, "sv1");
    EXPECT_EQ(result->service->port, 143);
    EXPECT_EQ(result->login.text, "kate@d.org");
    EXPECT_EQ(result->account.text, "abc");
}

TEST_F(RouteTest, AHomeThatCannotTakeItIsUnavailableAndNeverAWrongPassword) {
    take_down("sv1");
    EXPECT_EQ(went(located("d.org", "sv1")), "unavailable: home-down");
    parts_.servers[1].admin = AdminState::Drain;
    EXPECT_EQ(went(located("d.org", "sv2")), "unavailable: home-drained");
    parts_.servers[1].admin = AdminState::Down;
    EXPECT_EQ(went(located("d.org", "sv2")), "unavailable: home-down-by-administrator");
    EXPECT_EQ(went(located("d.org", "gone")), "unavailable: home-missing");
    EXPECT_EQ(went(located("d.org", "-")), "unavailable: no-home");
    EXPECT_EQ(went(located("d.org", "old"), Service::Pop3),
              "unavailable: home-service-not-offered");
}

TEST_F(RouteTest, UnknownNamesGoToTheFixedServerOfTheDomain) {
    EXPECT_EQ(went(located("d.org", "")), "sv2 unknown");
    take_down("sv2");
    EXPECT_EQ(went(located("d.org", "")), "sv1 unknown");
    take_down("sv1");
    EXPECT_EQ(went(located("d.org", "")), "unavailable: no-server-for-unknown-accounts");
    EXPECT_EQ(went(located("empty.org", "")), "refused: unknown-account");
}

TEST_F(RouteTest, UnknownDomainsGoWhereTheConnectionsOwnDomainSendsThem) {
    Located stranger = located("nowhere.org", "");
    EXPECT_EQ(went(stranger), "refused: unknown-domain");
    stranger.context = stranger.topology->domain("d.org");
    EXPECT_EQ(went(stranger), "sv2 unknown");
}

TEST_F(RouteTest, ALocalDomainIsServedByItsOwnNodeAlone) {
    EXPECT_EQ(went(located("local.org", "sv1"), Service::Imap, NodeName("be9")), "sv1");
    EXPECT_EQ(went(located("local.org", "sv1")), "refused: domain-of-another-node");
}

TEST_F(RouteTest, ADisabledAccountIsItsServersBusinessUnlessTheServerIsForeign) {
    Located kate = located("d.org", "sv1");
    kate.disabled = true;
    EXPECT_EQ(went(kate), "sv1");
    Located pete = located("d.org", "old");
    pete.disabled = true;
    EXPECT_EQ(went(pete), "refused: disabled");
}

TEST_F(RouteTest, AMasterUserNeedsItsCredential) {
    parts_.servers[2].login = LoginMode::Master;
    EXPECT_EQ(went(located("d.org", "old")), "unavailable: no-credential");
    parts_.credentials = {Credential{ServerName("old"), "master", "secret", {}}};
    const auto result = route(located("d.org", "old"), Service::Imap, kHere);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->server->credential->user, "master");
}

TEST_F(RouteTest, CapabilitiesAreWhatAllServersCanDo) {
    auto caps = [](Server& on, std::vector<std::string> list) {
        on.services[0]->capabilities = std::move(list);
    };
    caps(parts_.servers[0],
         {"IMAP4rev1", "IDLE", "LITERAL+", "STARTTLS", "AUTH=PLAIN", "AUTH=SCRAM-SHA-256"});
    caps(parts_.servers[1], {"IMAP4rev1", "idle", "auth=scram-sha-256", "AUTH=PLAIN", "X"});
    const auto both = [&] {
        const Topology topology(parts_, health_);
        return common_announcement(reachable_servers(topology, topology.domain("d.org"), kHere),
                                   Service::Imap);
    };
    EXPECT_EQ(both(), (Announcement{{"IMAP4rev1", "IDLE"}, {"PLAIN", "SCRAM-SHA-256"}}));
    take_down("sv2");
    EXPECT_EQ(both(), (Announcement{{"IMAP4rev1", "IDLE"}, {"PLAIN", "SCRAM-SHA-256"}}));
    caps(parts_.servers[1], {});
    EXPECT_EQ(both(), (Announcement{{"IMAP4rev1", "IDLE", "LITERAL+"}, {"PLAIN"}}));
    // Beside a node it has the configuration that Muster prints.
    parts_.servers[1].node = NodeName("be2");
    EXPECT_EQ(both(),
              (Announcement{{"IMAP4rev1", "IDLE", "LITERAL+"}, {"PLAIN", "SCRAM-SHA-256"}}));
}

TEST_F(RouteTest, AConnectionReachesItsOwnDomainsServersOrAllThatTheNodeServes) {
    parts_.domains.push_back(domain("old.org", {"old", "gone"}));
    parts_.domains[2].unknown_server = ServerName("old");
    const Topology topology(parts_, health_);
    const auto reached = [&](std::string_view default_domain, const NodeName& here = kHere) {
        std::string names;
        const Domain* own = dedicated_domain(topology, {.default_domain = default_domain}, here);
        for (const ServerView* view : reachable_servers(topology, own, here)) {
            names += view->server.name.text + ' ';
        }
        return names;
    };
    EXPECT_EQ(reached("d.org"), "sv1 sv2 ");
    EXPECT_EQ(reached("old.org"), "old ");
    EXPECT_EQ(reached("empty.org"), "old ");
    EXPECT_EQ(reached(""), "old sv1 sv2 ");
    EXPECT_EQ(reached("nowhere.org"), "old sv1 sv2 ");
    EXPECT_EQ(reached("local.org", NodeName("be9")), "sv1 ");
    EXPECT_EQ(reached("local.org"), "old sv1 sv2 ");  // it is another node's
}

TEST_F(RouteTest, ScramNeedsServersThatLearnTheAccountBesideIt) {
    parts_.domains.push_back(domain("old.org", {"old"}));
    const auto maps = [&](std::string_view of, Service service = Service::Imap) {
        const Topology topology(parts_, health_);
        return map_names(reachable_servers(topology, topology.domain(of), kHere), service);
    };
    EXPECT_TRUE(maps("d.org"));
    EXPECT_FALSE(maps("old.org"));
    EXPECT_TRUE(maps("old.org", Service::Pop3));  // it has none
    parts_.servers[1].introduce = Introduce::Proxy;
    EXPECT_FALSE(maps("d.org"));
}

TEST_F(RouteTest, NamesWithoutADomainTakeItFromTheConnection) {
    parts_.domains[0].addresses = {IpAddress::parse("192.0.2.5").value()};
    parts_.domains[2].tls_names = {DomainName("mail.empty.org")};
    const Topology topology(parts_, health_);
    const auto of = [&](const LoginContext& context) {
        const Domain* found = context_domain(topology, context);
        return found ? found->name.text : "none";
    };
    const IpAddress dedicated = IpAddress::parse("192.0.2.5").value();
    EXPECT_EQ(of({dedicated, "mail.empty.org", "local.org"}), "d.org");
    EXPECT_EQ(of({{}, "MAIL.empty.org", "local.org"}), "empty.org");
    EXPECT_EQ(of({{}, "other.org", "local.org"}), "local.org");
    EXPECT_EQ(of({{}, "", "gone.org"}), "none");
    EXPECT_EQ(of({}), "none");
}

}  // namespace
}  // namespace muster::cluster
