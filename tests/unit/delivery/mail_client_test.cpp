#include "delivery/mail_client.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "unit/delivery/smtp_server.h"

namespace muster::delivery {
namespace {

const std::string kHello = "250-x\r\n250 PIPELINING\r\n";
const std::string kEnvelope = "250 ok\r\n250 ok\r\n354 go\r\n";
const std::string kSaved = "250 saved\r\n";

std::shared_ptr<MailTarget> target_at(const Endpoint& endpoint) {
    auto target = std::make_shared<MailTarget>();
    target->key = target->name = "x";
    target->endpoint = endpoint;
    target->helo = "fe1";
    return target;
}

class MailClientTest : public ::testing::Test {
protected:
    /// Sends `count` messages, one after the other.
    void send(std::vector<SmtpServer::Script> scripts, unsigned count,
              MailTls tls = MailTls::None) {
        server_ = std::make_unique<SmtpServer>(loop_, std::move(scripts));
        auto target = target_at(server_->endpoint());
        target->tls = tls;
        if (tls != MailTls::None) {
            net::TlsTrust trust;
            trust.kind = net::TlsTrust::Kind::Nothing;
            target->trust = *net::TlsClient::create(trust);
        }
        loop_.tasks().spawn(server_->run());
        loop_.tasks().spawn(send_all(target, count));
        loop_.stop_when_idle();
        loop_.run();
    }
    Task<void> send_all(std::shared_ptr<const MailTarget> target, unsigned count) {
        MailClient client(loop_, cache_);
        const std::array<Recipient, 1> recipients{Recipient{.address = "a@x.y"}};
        const std::array<std::string_view, 1> text{"Subject: x\r\n\r\nx\r\n"};
        for (unsigned i = 0; i < count; ++i) {
            PiecesBody body(text);
            results_.push_back(co_await client.send(
                target, {.sender = "s@x.y", .recipients = recipients, .body = &body}));
        }
        waiting_ = cache_.size();
        cache_.clear();
        server_->stop();
    }
    /// Sends one message, and sweeps until nothing waits: the server closes when it has answered.
    Task<void> send_then_sweep(std::shared_ptr<const MailTarget> target) {
        MailClient client(loop_, cache_);
        const std::array<Recipient, 1> recipients{Recipient{.address = "a@x.y"}};
        const std::array<std::string_view, 1> text{"Subject: x\r\n\r\nx\r\n"};
        PiecesBody body(text);
        results_.push_back(co_await client.send(
            target, {.sender = "s@x.y", .recipients = recipients, .body = &body}));
        for (int i = 0; i < 20 && cache_.size() > 0; ++i) {
            co_await net::Sleep(loop_, net::Duration{1});
            cache_.sweep();
        }
        server_->stop();
    }
    Outcome outcome(std::size_t which) { return results_.at(which).recipients.at(0).outcome; }

    net::Loop loop_;
    ConnectionCache cache_;
    std::unique_ptr<SmtpServer> server_;
    std::vector<TransactionResult> results_;
    std::size_t waiting_ = 0;
};

TEST_F(MailClientTest, AConnectionServesManyMessages) {
    send({{"220 x\r\n", kHello, kEnvelope, kSaved, kEnvelope, kSaved, ""}}, 2);
    EXPECT_EQ(outcome(0), Outcome::Delivered);
    EXPECT_EQ(outcome(1), Outcome::Delivered);
    EXPECT_EQ(server_->accepted, 1U);
    EXPECT_EQ(waiting_, 1U);
    EXPECT_TRUE(server_->heard.ends_with("QUIT\r\n"));
}

TEST_F(MailClientTest, AWaitingConnectionThatDiedIsReplacedOnce) {
    // The first connection ends when its second message begins, or before.
    send({{"220 x\r\n", kHello, kEnvelope, kSaved, ""},
          {"220 x\r\n", kHello, kEnvelope, kSaved, ""}},
         2);
    EXPECT_EQ(outcome(1), Outcome::Delivered);
    EXPECT_EQ(server_->accepted, 2U);
}

TEST_F(MailClientTest, ANewConnectionThatDiesIsNotReplaced) {
    send({{"220 x\r\n", kHello, ""}, {"220 x\r\n"}}, 1);
    EXPECT_EQ(outcome(0), Outcome::Deferred);
    EXPECT_FALSE(results_[0].reached);
    EXPECT_EQ(server_->accepted, 1U);
}

TEST_F(MailClientTest, NothingIsSentAgainAfterItsDot) {
    send({{"220 x\r\n", kHello, kEnvelope, kSaved, kEnvelope, ""}, {"220 x\r\n"}}, 2);
    EXPECT_EQ(outcome(1), Outcome::Deferred);
    EXPECT_TRUE(results_[1].recipients[0].uncertain);
    EXPECT_EQ(server_->accepted, 1U);
}

TEST_F(MailClientTest, AFailedHandshakeIsFollowedByMailInClear) {
    send({{"220 x\r\n", "250-x\r\n250 STARTTLS\r\n", "220 go\r\n", "what?\r\n"},
          {"220 x\r\n", kHello, kEnvelope, kSaved, ""}},
         1, MailTls::Opportunistic);
    EXPECT_EQ(outcome(0), Outcome::Delivered);
}

TEST_F(MailClientTest, RequiredTlsIsNotFollowedByMailInClear) {
    send({{"220 x\r\n", "250-x\r\n250 STARTTLS\r\n", "220 go\r\n", "what?\r\n"},
          {"220 x\r\n", kHello, kEnvelope, kSaved, ""}},
         1, MailTls::Required);
    EXPECT_EQ(outcome(0), Outcome::Deferred);
    EXPECT_EQ(server_->accepted, 1U);
}

TEST_F(MailClientTest, AServerThatDoesNotListenIsNotReached) {
    SmtpServer gone(loop_, {});
    auto target = target_at(gone.endpoint());
    target->endpoint.port = 1;
    server_ = std::make_unique<SmtpServer>(loop_, std::vector<SmtpServer::Script>{});
    loop_.tasks().spawn(send_all(target, 1));
    loop_.stop_when_idle();
    loop_.run();
    EXPECT_EQ(outcome(0), Outcome::Deferred);
    EXPECT_FALSE(results_[0].reached);
}

TEST_F(MailClientTest, AWaitingConnectionThatItsServerEndsIsSwept) {
    server_ = std::make_unique<SmtpServer>(
        loop_, std::vector<SmtpServer::Script>{{"220 x\r\n", kHello, kEnvelope, kSaved}});
    loop_.tasks().spawn(server_->run());
    loop_.tasks().spawn(send_then_sweep(target_at(server_->endpoint())));
    loop_.stop_when_idle();
    loop_.run();
    EXPECT_EQ(outcome(0), Outcome::Delivered);
    EXPECT_EQ(cache_.size(), 0U);
}

TEST_F(MailClientTest, TheCacheKeepsItsLimits) {
    send({{"220 x\r\n", kHello, kEnvelope, kSaved, ""}}, 0);
    CacheLimits limits;
    limits.connections = 0;
    ConnectionCache none(limits);
    auto target = target_at({});
    std::array<int, 2> pair{};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair.data()), 0);
    none.put(std::make_unique<MailUpstream>(std::make_unique<net::SocketStream>(loop_, pair[0]),
                                            target));
    EXPECT_EQ(none.size(), 0U);
    close(pair[1]);
}

}  // namespace
}  // namespace muster::delivery
