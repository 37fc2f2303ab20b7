// What is queued on its way to servers of other sites on loopback.

#include "delivery/queue_runner.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <thread>

#include "cluster/directory_writer.h"
#include "delivery/content_body.h"
#include "queue/derived_id.h"
#include "state/sqlite_store.h"
#include "unit/delivery/smtp_server.h"
#include "unit/queue/folder.h"

namespace muster::delivery {
namespace {

using namespace std::chrono_literals;

const SmtpServer::Script kDelivers{"220 x\r\n", "250-x\r\n250 PIPELINING\r\n",
                                   "250 ok\r\n250 ok\r\n354 go\r\n", "250 saved\r\n", ""};

/// A port on which the kernel takes connections, and nobody says a word.
class SilentServer {
public:
    SilentServer() {
        fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        net::SocketAddress any(*Endpoint::parse("127.0.0.1:0"));
        EXPECT_EQ(bind(fd_, any.data(), any.length), 0);
        EXPECT_EQ(listen(fd_, 100), 0);
        socklen_t length = sizeof any.storage;
        EXPECT_EQ(getsockname(fd_, any.data(), &length), 0);
        endpoint_ = any.endpoint();
    }
    SilentServer(const SilentServer&) = delete;
    SilentServer& operator=(const SilentServer&) = delete;
    ~SilentServer() {
        for (const int fd : taken_) ::close(fd);
        ::close(fd_);
    }
    /// Waits for a client.
    void take() { taken_.push_back(accept(fd_, nullptr, nullptr)); }
    [[nodiscard]] std::string text() const { return endpoint_.text(); }

private:
    int fd_ = -1;
    Endpoint endpoint_;
    std::vector<int> taken_;
};

/// An SmtpServer with a thread of its own.
class TalkingServer {
public:
    explicit TalkingServer(std::vector<SmtpServer::Script> scripts)
        : server_(loop_, std::move(scripts)) {
        loop_.tasks().spawn(server_.run());
        thread_ = std::thread([this] { loop_.run(); });
    }
    TalkingServer(const TalkingServer&) = delete;
    TalkingServer& operator=(const TalkingServer&) = delete;
    ~TalkingServer() { end(); }
    /// Afterwards accepted() and heard() may be asked.
    void end() {
        if (!thread_.joinable()) return;
        loop_.post([this] {
            server_.stop();
            loop_.stop_when_idle();
        });
        thread_.join();
    }
    void wait_for(const std::string& text) {
        for (bool is_there = false; !is_there;) {
            std::promise<bool> found;
            loop_.post([&] { found.set_value(server_.heard.contains(text)); });
            is_there = found.get_future().get();
            if (!is_there) std::this_thread::sleep_for(1ms);
        }
    }
    [[nodiscard]] std::string text() const { return server_.endpoint().text(); }
    [[nodiscard]] unsigned accepted() const { return server_.accepted; }
    [[nodiscard]] const std::string& heard() const { return server_.heard; }
    [[nodiscard]] const std::vector<std::string>& peers() const { return server_.peers; }

private:
    net::Loop loop_;
    SmtpServer server_;
    std::thread thread_;
};

/// Where nobody listens any more.
std::string closed_port() {
    const SilentServer gone;
    return gone.text();
}

class QueueRunnerTest : public testing::Test {
protected:
    QueueRunnerTest()
        : store_(state::SqliteStore::open(folder_ / "directory.db").value()),
          writer_(*store_),
          replica_(state::Replica::of_store(*store_, store_->file())) {
        open_spool();
        settings_.routes.host_name = "fe1.test";
        settings_.stop_grace = 1ms;
        net::ResolverSettings resolver;
        resolver.servers = {"127.0.0.1@1"};
        resolver_ = std::move(*net::Resolver::create(resolver));
    }

    void open_spool(std::uint64_t reserve = 0) {
        spool_.reset();
        queue::SpoolSettings spool;
        spool.folder = folder_ / "queue";
        spool.owner = {.node = NodeName("fe1"), .generation = 1, .instance = "x"};
        spool.reserve = reserve;
        spool_ = std::move(*queue::Spool::open(spool));
        spool_->wait_loaded();
    }
    void remote(const std::string& name, const std::vector<std::string>& route,
                const std::function<void(cluster::Domain&)>& options = {}) {
        cluster::Domain domain;
        domain.name = DomainName(name);
        domain.kind = cluster::DomainKind::Remote;
        for (const std::string& host : route) {
            domain.route.push_back(*cluster::MailHost::parse(host));
        }
        if (options) options(domain);
        ASSERT_TRUE(writer_.put(domain));
    }
    void start() {
        hosts_.reset();
        topology_ = std::make_unique<cluster::TopologyTable>(replica_, health_);
        hosts_ = std::make_unique<frontend::HostAddresses>(*topology_);
        runner_ = std::make_unique<QueueRunner>(settings_, *spool_, *topology_, *hosts_, upstream_,
                                                NodeName("fe1"), resolver_.get());
        runner_->start();
    }
    queue::QueueId put(const std::vector<std::string>& recipients,
                       const std::string& sender = "s@else.test") {
        queue::Envelope envelope;
        envelope.sender = sender;
        for (const std::string& one : recipients) envelope.recipients.push_back({.address = one});
        return put_envelope(std::move(envelope));
    }
    queue::QueueId put_envelope(queue::Envelope envelope) {
        std::promise<queue::QueueId> id;
        spool_->commit(std::move(envelope), queue::Content::of("Subject: x\r\n\r\nx\r\n"),
                       queue::After::Due,
                       [&id](Result<queue::QueueId> done) { id.set_value(done.value()); });
        return id.get_future().get();
    }
    [[nodiscard]] std::string file_of(const queue::QueueId& id) const {
        return folder_ / ("queue/active/" + id.text.substr(0, 6) + "/" + id.text);
    }
    /// Waits for a report in the queue.
    std::string report() {
        for (int i = 0; i < 1000; ++i) {
            for (const queue::Summary& one : spool_->schedule().list({}, {}, 100).messages) {
                if (one.kind != queue::Kind::Dsn) continue;
                const auto message = spool_->read(one.id);
                return message ? beginning_of(message->content) : std::string();
            }
            std::this_thread::sleep_for(10ms);
        }
        return {};
    }
    /// Until the message is Waiting for a time that has not come.
    void wait_put_off(const queue::QueueId& id) {
        const auto is_put_off = [&] {
            const auto found = spool_->schedule().find(id);
            return found && found->state == queue::MessageState::Waiting &&
                   found->next_try > queue::now() + 30s;
        };
        for (int i = 0; i < 1000 && !is_put_off(); ++i) std::this_thread::sleep_for(10ms);
        EXPECT_TRUE(is_put_off());
    }
    std::vector<queue::RecipientState> states(const queue::QueueId& id) {
        spool_->flush_writes();
        return spool_->read(id).value().states;
    }
    /// Until the queue is empty.
    void wait_empty() {
        for (int i = 0; i < 1000 && spool_->schedule().counts().messages > 0; ++i) {
            std::this_thread::sleep_for(10ms);
        }
        EXPECT_EQ(spool_->schedule().counts().messages, 0U);
    }

    void wait_gone(const queue::QueueId& id) {
        const auto is_there = [&] { return spool_->schedule().find(id).has_value(); };
        for (int i = 0; i < 1000 && is_there(); ++i) std::this_thread::sleep_for(10ms);
        EXPECT_FALSE(is_there());
    }
    void wait_parked(const queue::QueueId& id) {
        const auto is_parked = [&] {
            return spool_->schedule().find(id)->state == queue::MessageState::Parked;
        };
        for (int i = 0; i < 1000 && !is_parked(); ++i) std::this_thread::sleep_for(10ms);
        EXPECT_TRUE(is_parked());
    }

    queue::TestFolder folder_;
    std::unique_ptr<state::SqliteStore> store_;
    cluster::DirectoryWriter writer_;
    std::shared_ptr<state::Replica> replica_;
    cluster::HealthTable health_;
    frontend::UpstreamSettings upstream_;
    RunnerSettings settings_;
    std::unique_ptr<queue::Spool> spool_;
    std::unique_ptr<net::Resolver> resolver_;
    std::unique_ptr<cluster::TopologyTable> topology_;
    std::unique_ptr<frontend::HostAddresses> hosts_;
    std::unique_ptr<QueueRunner> runner_;
};

using State = queue::RecipientState::Kind;

TEST_F(QueueRunnerTest, AStopWaitsForNoServerAndKeepsWhatIsKnown) {
    TalkingServer first({kDelivers});
    SilentServer second;
    SilentServer third;
    remote("one.test", {first.text()});
    remote("two.test", {second.text()});
    remote("three.test", {third.text()});
    start();
    const auto id = put({"a@one.test", "b@two.test", "c@three.test"});
    second.take();
    EXPECT_EQ(states(id)[0].kind, State::Delivered);  // while the second one is waited for
    const auto began = std::chrono::steady_clock::now();
    runner_->stop();
    EXPECT_LT(std::chrono::steady_clock::now() - began, 3s);
    for (const std::size_t i : {1, 2}) {
        EXPECT_EQ(states(id)[i].kind, State::Open);
        EXPECT_EQ(states(id)[i].tries, 0U);
    }
    const auto left = spool_->schedule().find(id);
    ASSERT_TRUE(left);
    EXPECT_EQ(left->state, queue::MessageState::Waiting);
    for (const queue::DestinationState& one : spool_->schedule().destinations(10)) {
        EXPECT_EQ(one.failures, 0U) << one.destination;
    }
}

TEST_F(QueueRunnerTest, AReportIsMadeOnceWhateverIsLostBehindIt) {
    auto refuses = kDelivers;
    refuses.resize(2);
    refuses.emplace_back("250 ok\r\n550 5.1.1 nobody\r\n503 no\r\n");
    refuses.emplace_back("");
    SilentServer home;
    remote("else.test", {home.text()});
    const auto id = put({"a@one.test"});
    const std::string file = file_of(id);
    const std::string text = queue::file_text(file);
    for (int i = 0; i < 2; ++i) {
        TalkingServer server({refuses});
        remote("one.test", {server.text()});
        queue::put_file(file, text);  // as after a crash
        open_spool();
        start();
        wait_gone(id);
        home.take();  // the report is on its way
        runner_->stop();
        runner_.reset();
        spool_->flush_writes();
        EXPECT_EQ(spool_->schedule().counts().messages, 1U);
    }
}

TEST_F(QueueRunnerTest, AReportOfSeveralIsKnownForEachOfThem) {
    auto refuses = kDelivers;
    refuses.resize(2);
    refuses.emplace_back("250 ok\r\n550 5.1.1 nobody\r\n503 no\r\n");
    refuses.emplace_back("");
    auto defers = refuses;
    defers[2] = "250 ok\r\n450 4.2.1 later\r\n503 no\r\n";
    const SilentServer sender;
    remote("else.test", {sender.text()});
    const auto id = put({"a@one.test", "b@two.test"});
    const std::string text = queue::file_text(file_of(id));
    for (const bool first_refuses : {true, false}) {
        TalkingServer one({first_refuses ? refuses : defers});
        TalkingServer two({refuses});
        remote("one.test", {one.text()});
        remote("two.test", {two.text()});
        queue::put_file(file_of(id), text);  // as after a crash
        open_spool();
        start();
        if (first_refuses) {
            wait_gone(id);
        } else {
            wait_put_off(id);
            EXPECT_EQ(states(id)[1].kind, State::Failed);
        }
        runner_->stop();
        runner_.reset();
        spool_->flush_writes();
        EXPECT_EQ(spool_->schedule().counts().messages, first_refuses ? 1U : 2U);
    }
}

TEST_F(QueueRunnerTest, ADelayIsReportedOfAllThatWaitThoughNoneIsTried) {
    const SilentServer sender;
    const SilentServer first;
    const SilentServer second;
    remote("else.test", {sender.text()});
    remote("one.test", {first.text()});
    remote("two.test", {second.text()});
    spool_->schedule().unreachable("host:" + first.text(), "Nobody answers", queue::now());
    spool_->schedule().unreachable("host:" + second.text(), "Not at home", queue::now());
    queue::Envelope envelope;
    envelope.sender = "s@else.test";
    envelope.arrived = queue::now() - 5h;
    envelope.expires = queue::now() + 5h;
    envelope.recipients = {{.address = "a@one.test"}, {.address = "b@two.test"}};
    const auto id = put_envelope(envelope);
    for (queue::Recipient& one : envelope.recipients) one.notify = queue::notify::kNever;
    const auto silent = put_envelope(envelope);
    start();
    const std::string text = report();
    for (const char* part : {"a@one.test", "b@two.test", "Nobody answers", "Not at home",
                             "Status: 4.4.1", "Action: delayed"}) {
        EXPECT_TRUE(text.contains(part)) << part << " in " << text;
    }
    wait_parked(id);
    wait_parked(silent);
    runner_->stop();
    spool_->flush_writes();
    EXPECT_TRUE(spool_->read(id)->delay_notice);
    EXPECT_TRUE(spool_->read(silent)->delay_notice);
    EXPECT_EQ(spool_->read(id)->tries, 0U);
    EXPECT_EQ(spool_->schedule().counts().messages, 3U);
}

TEST_F(QueueRunnerTest, WhatCannotBeReportedWaitsAndWritesNothing) {
    queue::Envelope envelope;
    envelope.sender = "s@else.test";
    envelope.arrived = queue::now() - 2h;
    envelope.expires = queue::now() - 1h;
    envelope.recipients = {{.address = "a@one.test"}};
    const auto id = put_envelope(envelope);
    const std::string text = queue::file_text(file_of(id));
    open_spool(std::uint64_t{1} << 60);
    start();
    wait_put_off(id);
    runner_->stop();
    spool_->flush_writes();
    EXPECT_EQ(queue::file_text(file_of(id)), text);
}

TEST_F(QueueRunnerTest, ASuccessIsReportedOnceThereIsRoom) {
    const SilentServer sender;
    TalkingServer server({kDelivers});
    remote("else.test", {sender.text()});
    remote("one.test", {server.text()});
    queue::Envelope envelope;
    envelope.sender = "s@else.test";
    envelope.hold = true;
    envelope.recipients = {{.address = "a@one.test", .notify = queue::notify::kSuccess}};
    const auto id = put_envelope(envelope);
    ASSERT_TRUE(spool_->release({&id, 1}));
    const std::string obstacle = file_of(queue::derived_id(id, "0d"));
    std::filesystem::create_directories(obstacle);
    start();
    wait_put_off(id);
    EXPECT_EQ(states(id)[0].kind, State::Delivered);
    std::filesystem::remove(obstacle);
    spool_->schedule().flush(id, queue::now());
    EXPECT_TRUE(report().contains("a@one.test"));
    wait_gone(id);
    runner_->stop();
    server.end();
    EXPECT_EQ(server.accepted(), 1U);
}

TEST_F(QueueRunnerTest, DomainsWithOneRouteAreOneDestination) {
    auto both = kDelivers;
    both[2] = "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n";
    TalkingServer server({both});
    remote("one.test", {server.text()});
    remote("two.test", {server.text()});
    start();
    put({"a@one.test", "b@two.test"});
    wait_empty();
    runner_->stop();
    server.end();
    EXPECT_EQ(server.accepted(), 1U);
    EXPECT_TRUE(server.heard().contains("RCPT TO:<a@one.test>\r\nRCPT TO:<b@two.test>\r\n"));
}

TEST_F(QueueRunnerTest, ADomainsOwnTimesEndItsMailAlone) {
    const SilentServer sender;
    const std::string nobody = closed_port();
    remote("else.test", {sender.text()});
    remote("slow.test", {nobody});
    remote("quick.test", {nobody}, [](cluster::Domain& domain) {
        domain.retry.expire_after = 60;
        domain.retry.delay_report_after = 0;
    });
    queue::Envelope envelope;
    envelope.sender = "s@else.test";
    envelope.arrived = queue::now() - 61s;
    envelope.expires = queue::now() + 5h;
    envelope.recipients = {{.address = "a@slow.test"}, {.address = "b@quick.test"}};
    const auto id = put_envelope(envelope);
    start();
    const std::string text = report();
    EXPECT_TRUE(text.contains("b@quick.test")) << text;
    EXPECT_TRUE(text.contains("Status: 4.4.7")) << text;
    EXPECT_FALSE(text.contains("a@slow.test")) << text;
    wait_parked(id);
    EXPECT_EQ(states(id)[0].kind, State::Open);
    EXPECT_EQ(states(id)[1].kind, State::Failed);
    EXPECT_EQ(spool_->schedule().find(id)->expires, spool_->read(id)->envelope.expires);
}

TEST_F(QueueRunnerTest, ADomainMayGiveMoreTimeThanTheNode) {
    const std::string nobody = closed_port();
    remote("patient.test", {nobody},
           [](cluster::Domain& domain) { domain.retry.expire_after = 3600; });
    queue::Envelope envelope;
    envelope.arrived = queue::now() - 10min;
    envelope.expires = queue::now() - 5min;
    envelope.recipients = {{.address = "a@patient.test"}};
    const auto id = put_envelope(envelope);
    start();
    wait_parked(id);
    const auto found = spool_->schedule().find(id);
    EXPECT_EQ(found->expires, found->arrived + 1h);
    EXPECT_EQ(found->destinations, std::vector<std::string>{"host:" + nobody + "/patient.test"});
}

TEST_F(QueueRunnerTest, WhatIsTooLargeForADomainFails) {
    TalkingServer server({kDelivers});
    remote("small.test", {server.text()},
           [](cluster::Domain& domain) { domain.message_bytes = 9; });
    remote("else.test", {server.text()});
    start();
    put({"a@small.test"});
    wait_empty();  // and the report is with its reader
    runner_->stop();
    server.end();
    EXPECT_TRUE(server.heard().contains("RCPT TO:<s@else.test>")) << server.heard();
    EXPECT_TRUE(server.heard().contains("5.3.4")) << server.heard();
}

TEST_F(QueueRunnerTest, NoMoreMessagesInAMinuteThanTheDomainTakes) {
    TalkingServer server({kDelivers, kDelivers});
    remote("paced.test", {server.text()},
           [](cluster::Domain& domain) { domain.limits.messages = 1; });
    start();
    const auto first = put({"a@paced.test"});
    wait_gone(first);
    const auto second = put({"b@paced.test"});
    wait_parked(second);
    const auto found = spool_->schedule().find(second);
    EXPECT_EQ(found->tries, 0U);
    EXPECT_GT(found->next_try, queue::now() + 30s);
    runner_->stop();
    server.end();
    EXPECT_FALSE(server.heard().contains("b@paced.test"));
}

TEST_F(QueueRunnerTest, ALoginThatCannotBeOpenedSendsNothing) {
    const SilentServer server;
    remote("login.test", {server.text()});
    cluster::DeliveryCredential credential;
    credential.domain = DomainName("login.test");
    credential.user = "u";
    credential.password = "sealed";
    ASSERT_TRUE(writer_.put(credential));
    settings_.routes.open_password = [](const cluster::DeliveryCredential&) -> Result<std::string> {
        return fail(ErrorKind::Refused, "not for this node");
    };
    start();
    const auto id = put({"a@login.test"});
    wait_put_off(id);
    EXPECT_TRUE(states(id)[0].last.text.contains("not for this node"));
}

TEST_F(QueueRunnerTest, ALoginOfANewerVersionSendsNothing) {
    const SilentServer server;
    remote("login.test", {server.text()});
    ASSERT_TRUE(store_->commit(
        state::Transaction{}.put("delivery/login.test", R"({"user":["u"],"password":"x"})")));
    start();
    const auto id = put({"a@login.test"});
    wait_put_off(id);
    EXPECT_TRUE(states(id)[0].last.text.contains("cannot read it"));
}

TEST_F(QueueRunnerTest, VeryManyTransactionsOfOneMessageFollowEachOtherAtOnce) {
    SmtpServer::Script one_by_one{"220 x\r\n",
                                  "250-x\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=1\r\n"};
    std::vector<std::string> recipients;
    for (int i = 0; i < 45; ++i) {
        one_by_one.insert(one_by_one.end(), kDelivers.begin() + 2, kDelivers.end() - 1);
        recipients.push_back("a" + std::to_string(i) + "@one.test");
    }
    one_by_one.emplace_back("");
    TalkingServer server({one_by_one});
    remote("one.test", {server.text()});
    start();
    put(recipients);
    wait_empty();
    runner_->stop();
    server.end();
    EXPECT_EQ(server.accepted(), 1U);
    EXPECT_TRUE(server.heard().contains("RCPT TO:<a44@one.test>\r\n"));
}

TEST_F(QueueRunnerTest, ARouteThatIsDownIsLeftAloneForAllItsDomains) {
    const std::string nobody = closed_port();
    remote("one.test", {nobody});
    remote("two.test", {nobody});
    start();
    for (const char* recipient : {"a@one.test", "b@two.test"}) {
        const auto id = put({recipient});
        wait_parked(id);
    }
    const auto destinations = spool_->schedule().destinations(10);
    ASSERT_EQ(destinations.size(), 1U);
    EXPECT_EQ(destinations[0].destination, "host:" + nobody);
    EXPECT_EQ(destinations[0].failures, 1U);
    EXPECT_EQ(destinations[0].parked, 2U);
}

TEST_F(QueueRunnerTest, TheSmartHostIsOneDestinationForTheWorld) {
    SilentServer smart_host;
    const auto host = cluster::MailHost::parse(smart_host.text());
    settings_.routes.smart_host = {{Destination::Kind::Host, host->name, host->port}};
    settings_.tries_of_destination = 1;
    start();
    put({"a@one.example"});
    smart_host.take();
    const auto second = put({"b@two.example"});
    runner_->stop();
    const auto found = spool_->schedule().find(second);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->tries, 0U);
}

TEST_F(QueueRunnerTest, TheSendersDomainChoosesNameAndAddress) {
    TalkingServer server({kDelivers, kDelivers});
    remote("one.test", {server.text()});
    cluster::Domain ours;
    ours.name = DomainName("ours.test");
    ours.helo = "out.ours.test";
    ours.source = {*IpAddress::parse("192.0.2.1"), *IpAddress::parse("127.0.0.7")};
    ASSERT_TRUE(writer_.put(ours));
    start();
    put({"a@one.test"}, "s@ours.test");
    wait_empty();
    put({"a@one.test"}, "s@else.test");
    wait_empty();
    runner_->stop();
    server.end();
    EXPECT_EQ(server.accepted(), 2U);
    EXPECT_TRUE(server.heard().contains("EHLO out.ours.test\r\n"));
    EXPECT_TRUE(server.heard().contains("EHLO fe1.test\r\n"));
    EXPECT_EQ(server.peers(), (std::vector<std::string>{"127.0.0.7", "127.0.0.1"}));
}

TEST_F(QueueRunnerTest, ADomainsTlsIsDemanded) {
    TalkingServer server({kDelivers});
    cluster::Domain domain;
    domain.name = DomainName("one.test");
    domain.kind = cluster::DomainKind::Remote;
    domain.route = {*cluster::MailHost::parse(server.text())};
    domain.tls = cluster::OutgoingTls::Encrypted;
    ASSERT_TRUE(writer_.put(domain));
    start();
    const auto id = put({"a@one.test"});
    wait_parked(id);
    runner_->stop();
    server.end();
    EXPECT_FALSE(server.heard().contains("MAIL"));
    EXPECT_TRUE(states(id)[0].last.text.contains("STARTTLS")) << states(id)[0].last.text;
}

TEST(Utf8Header, EndsAtTheFirstEmptyLine) {
    for (const auto& [text, is] : {std::pair{"Subject: x\r\n\r\n\xc3\xa4\r\n", false},
                                   std::pair{"Subject: \xc3\xa4\r\n\r\nx\r\n", true},
                                   std::pair{"Subject: x\r\n", false}, std::pair{"", false}}) {
        EXPECT_EQ(has_utf8_header(queue::Content::of(text)), is) << text;
    }
}

TEST_F(QueueRunnerTest, AStopWaitsForNoNameServer) {
    const int name_server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    net::SocketAddress any(*Endpoint::parse("127.0.0.1:0"));
    ASSERT_EQ(bind(name_server, any.data(), any.length), 0);
    socklen_t length = sizeof any.storage;
    ASSERT_EQ(getsockname(name_server, any.data(), &length), 0);
    net::ResolverSettings silent;
    silent.servers = {"127.0.0.1@" + std::to_string(any.endpoint().port)};
    resolver_ = std::move(*net::Resolver::create(silent));
    start();
    const auto id = put({"a@else.example"});
    char byte = 0;
    EXPECT_GE(recv(name_server, &byte, 1, MSG_TRUNC), 0);
    const auto began = std::chrono::steady_clock::now();
    runner_->stop();
    EXPECT_LT(std::chrono::steady_clock::now() - began, 3s);
    EXPECT_EQ(states(id)[0].tries, 0U);
    ::close(name_server);
}

TEST_F(QueueRunnerTest, AStopLeavesAMessageThatASilentServerMayHave) {
    auto silent = kDelivers;
    silent.resize(3);
    silent.emplace_back("");  // hears the message
    silent.emplace_back("");  // and waits for more
    TalkingServer server({silent});
    remote("one.test", {server.text()});
    start();
    const auto id = put({"a@one.test"});
    server.wait_for("\r\n.\r\n");
    runner_->stop();
    EXPECT_EQ(states(id)[0].kind, State::Open);
    EXPECT_EQ(states(id)[0].tries, 0U);
    EXPECT_EQ(spool_->schedule().counts().messages, 1U);
}

}  // namespace
}  // namespace muster::delivery
