#include "backend/mail_exits.h"

#include <gtest/gtest.h>

namespace muster::backend {
namespace {

using namespace std::chrono_literals;
using Texts = std::vector<std::string>;

cluster::Node front_end(const char* name, Texts smtp) {
    cluster::Node node;
    node.name = NodeName(name);
    node.smtp = std::move(smtp);
    return node;
}

class Exits : public ::testing::Test {
protected:
    Exits() {
        cluster::Server dovecot;
        dovecot.name = ServerName("sv1");
        dovecot.host = "192.0.2.50";
        parts_.servers = {dovecot};
        parts_.nodes = {front_end("fe1", {"192.0.2.1:25"}), front_end("fe2", {"192.0.2.2:25"}),
                        front_end("sv1", {})};
        settings_.node = NodeName("sv1");
        settings_.server = ServerName("sv1");
    }
    Texts found() {
        cluster::HealthTable health;
        return mail_exits(cluster::Topology(parts_, health), settings_);
    }

    cluster::TopologyParts parts_;
    ExitSettings settings_;
};

TEST_F(Exits, AreWhatTheFrontEndsSay) {
    EXPECT_EQ(found(), (Texts{"192.0.2.1:25", "192.0.2.2:25"}));
}

TEST_F(Exits, AFixedListGoesBeforeThat) {
    settings_.fixed = {"mx.example.org:25"};
    EXPECT_EQ(found(), Texts{"mx.example.org:25"});
}

TEST_F(Exits, ThoseThatDrainOrAreNotBelievedAreLeftOut) {
    parts_.nodes[0].admin = cluster::AdminState::Drain;
    EXPECT_EQ(found(), Texts{"192.0.2.2:25"});
    parts_.nodes[1].revoked = true;
    EXPECT_EQ(found(), Texts{"192.0.2.1:25"}) << "better one that drains than none";
}

TEST_F(Exits, AnotherMachinesLoopbackIsNotOurs) {
    parts_.nodes[0].smtp = {"127.0.0.1:25", "localhost:25"};
    EXPECT_EQ(found(), Texts{"192.0.2.2:25"});
    parts_.servers[0].host = "127.0.0.9";
    EXPECT_EQ(found(), (Texts{"127.0.0.1:25", "localhost:25", "192.0.2.2:25"}))
        << "all of the cluster is on this machine";
}

TEST_F(Exits, ASymmetricNodeReachesItselfOverLoopback) {
    settings_.own = {"127.0.0.1:25"};
    parts_.nodes[2].smtp = {"192.0.2.50:25"};
    EXPECT_EQ(found(), (Texts{"192.0.2.1:25", "192.0.2.2:25", "127.0.0.1:25"}));
}

class Turns : public ::testing::Test {
protected:
    Texts next() { return turns_.next(exits_, now_); }

    Texts exits_{"a", "b", "c"};
    ExitTurns::Time now_{1'000s};
    ExitTurns turns_{0};
};

TEST_F(Turns, EachIsFirstAsOftenAsTheOthers) {
    EXPECT_EQ(next(), (Texts{"a", "b", "c"}));
    EXPECT_EQ(next(), (Texts{"b", "c", "a"}));
    EXPECT_EQ(next(), (Texts{"c", "a", "b"}));
    EXPECT_EQ(next(), (Texts{"a", "b", "c"}));
}

TEST_F(Turns, OneThatFailedIsTriedLastUntilItsRestIsOver) {
    EXPECT_TRUE(turns_.failed("a", now_));
    EXPECT_EQ(next(), (Texts{"b", "c", "a"}));
    EXPECT_EQ(next(), (Texts{"c", "b", "a"}));
    now_ += ExitTurns::kRest;
    EXPECT_EQ(next().size(), 3U);
    EXPECT_FALSE(turns_.failed("a", now_)) << "no news";
    EXPECT_EQ(next().back(), "a");
    EXPECT_TRUE(turns_.worked("a"));
    EXPECT_FALSE(turns_.worked("a")) << "no news";
}

TEST_F(Turns, AllAreTriedWhenAllRest) {
    for (const auto& exit : exits_) turns_.failed(exit, now_);
    EXPECT_EQ(next(), exits_);
    exits_ = {};
    EXPECT_EQ(next(), Texts{});
    exits_ = {"a"};
    EXPECT_TRUE(turns_.failed("a", now_)) << "what was no exit for a while is forgotten";
}

TEST(MailExits, OnlyA220IsAWelcome) {
    EXPECT_TRUE(is_welcome("220 mx.example.org ESMTP\r\n"));
    EXPECT_TRUE(is_welcome("220-mx.example.org\r\n220 ESMTP\r\n"));
    for (const char* other : {"", "220", "2200 x\r\n", "421 4.3.2 closing\r\n", "* OK IMAP\r\n"}) {
        EXPECT_FALSE(is_welcome(other)) << other;
    }
}

}  // namespace
}  // namespace muster::backend
