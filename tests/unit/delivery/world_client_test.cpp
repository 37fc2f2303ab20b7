#include "delivery/world_client.h"

#include <gtest/gtest.h>

#include "unit/delivery/smtp_server.h"
#include "unit/net/dns_server.h"

namespace muster::delivery {
namespace {

const SmtpServer::Script kDelivers{"220 x\r\n", "250-x\r\n250 PIPELINING\r\n",
                                   "250 ok\r\n250 ok\r\n354 go\r\n", "250 saved\r\n", ""};
const SmtpServer::Script kDefers{"220 x\r\n", "250-x\r\n250 PIPELINING\r\n",
                                 "250 ok\r\n450 4.2.0 later\r\n503 no\r\n", ""};

/// MX hosts `a` at 127.0.0.1, where the server listens, `b` at 127.0.0.2, where nobody does.
class WorldClientTest : public ::testing::Test {
protected:
    using Mx = std::vector<std::pair<unsigned, std::string>>;

    WorldResult send(const Mx& mx, std::vector<SmtpServer::Script> scripts, unsigned times = 1,
                     TlsSetting tls = TlsSetting::Automatic) {
        address("a.example", "\x7f\x00\x00\x01");
        address("b.example", "\x7f\x00\x00\x02");
        auto& records = dns_.records[{net::wire_name("x.example"), 15}];
        for (const auto& [preference, host] : mx) {
            records.push_back(net::u16(preference) + net::wire_name(host));
        }
        dns_.start();
        net::ResolverSettings settings;
        settings.servers = {dns_.name()};
        resolver_ = std::move(*net::Resolver::create(settings));
        server_ = std::make_unique<SmtpServer>(loop_, std::move(scripts));
        WorldRoute route;
        route.destination = *Destination::of_domain("x.example");
        route.destination.port = server_->endpoint().port;
        route.helo = "fe1";
        route.tls = tls;
        loop_.tasks().spawn(server_->run());
        loop_.tasks().spawn(send_all(route, times));
        loop_.stop_when_idle();
        loop_.run();
        return result_;
    }
    void address(const std::string& name, const char* bytes) {
        dns_.records[{net::wire_name(name), 1}] = {std::string(bytes, 4)};
    }
    Task<void> send_all(WorldRoute route, unsigned times) {
        ConnectionCache cache;
        MailClient client(loop_, cache);
        WorldClient world(loop_, *resolver_, client, nullptr, {});
        const std::array<Recipient, 1> recipients{Recipient{.address = "a@x.example"}};
        const std::array<std::string_view, 1> text{"Subject: x\r\n\r\nx\r\n"};
        for (unsigned i = 0; i < times; ++i) {
            PiecesBody body(text);
            result_ = co_await world.send(
                route, {.sender = "s@x.y", .recipients = recipients, .body = &body});
        }
        cache.clear();
        server_->stop();
    }
    const RecipientResult& only() { return result_.result.recipients.at(0); }

    net::DnsServer dns_;
    net::Loop loop_;
    std::unique_ptr<net::Resolver> resolver_;
    std::unique_ptr<SmtpServer> server_;
    WorldResult result_;
};

TEST_F(WorldClientTest, AHostThatIsDownIsFollowedByTheNext) {
    send({{10, "b.example"}, {20, "a.example"}}, {kDelivers});
    EXPECT_EQ(only().outcome, Outcome::Delivered) << only().text;
    EXPECT_TRUE(result_.result.reached);
    EXPECT_TRUE(result_.server.starts_with("a.example[127.0.0.1]:"));
}

TEST_F(WorldClientTest, RecipientsThatAHostDefersGoToTheNext) {
    address("c.example", "\x7f\x00\x00\x01");
    send({{10, "a.example"}, {20, "c.example"}}, {kDefers, kDelivers});
    EXPECT_EQ(only().outcome, Outcome::Delivered) << only().text;
    EXPECT_EQ(server_->accepted, 2U);
}

TEST_F(WorldClientTest, NotEveryHostIsAsked) {
    for (const std::string host : {"c.example", "d.example"}) {
        address(host, "\x7f\x00\x00\x01");
    }
    send({{10, "a.example"}, {20, "c.example"}, {30, "d.example"}}, {kDefers, kDefers, kDelivers});
    EXPECT_EQ(only().outcome, Outcome::Deferred);
    EXPECT_EQ(only().code, 450);
    EXPECT_EQ(server_->accepted, 2U);
}

TEST_F(WorldClientTest, NobodyIsReached) {
    send({{10, "b.example"}}, {});
    EXPECT_EQ(only().outcome, Outcome::Deferred);
    EXPECT_FALSE(result_.result.reached);
}

TEST_F(WorldClientTest, ADomainThatTakesNoMail) {
    send({{0, ""}}, {});
    EXPECT_EQ(only().outcome, Outcome::Refused);
    EXPECT_EQ(only().enhanced.text(), "5.1.10");
}

TEST_F(WorldClientTest, RequiredTlsThatNobodyOffers) {
    send({{10, "a.example"}}, {kDelivers}, 1, TlsSetting::Verified);
    EXPECT_EQ(only().outcome, Outcome::Deferred);
    EXPECT_FALSE(server_->heard.contains("MAIL"));
}

TEST_F(WorldClientTest, ConnectionsAreUsedAgain) {
    auto twice = kDelivers;
    twice.insert(twice.end() - 1, kDelivers.begin() + 2, kDelivers.end() - 1);
    send({{10, "a.example"}}, {twice}, 2);
    EXPECT_EQ(only().outcome, Outcome::Delivered);
    EXPECT_EQ(server_->accepted, 1U);
}

}  // namespace
}  // namespace muster::delivery
