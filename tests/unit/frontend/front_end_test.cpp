#include "frontend/front_end.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <new>

#include "base/base64.h"
#include "cluster/directory_writer.h"
#include "state/sqlite_store.h"
#include "unit/state/temporary_folder.h"

namespace muster::frontend {
namespace {

/// Says what the test wants it to say; there is no back end.
class FakeVerifier final : public Verifier {
public:
    Result<VerifyStep> begin(const VerifyRequest& request) override {
        if (request.message.contains("broken")) throw std::bad_alloc();
        if (request.message.contains("wrong")) {
            return VerifyStep{{SaslStep::Kind::Denied, {}}, {}, {}, {}};
        }
        return VerifyStep{
            {SaslStep::Kind::Accepted, base64_encode("v=signature")}, {}, {}, account_};
    }
    Result<VerifyStep> answer(const VerifyRequest&, const std::string&,
                              const std::string&) override {
        return fail(ErrorKind::Unavailable, "nobody is asked twice");
    }
    std::string account_ = "kate@d.org";
};

/// A client or a server, and whatever it is told.
class Client {
public:
    explicit Client(int fd) : fd_(fd) {
        const timeval patience{20, 0};
        setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }
    explicit Client(const Endpoint& to) : Client(socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(to.port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    }
    ~Client() { close(fd_); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    void say(std::string_view text) {
        EXPECT_EQ(send(fd_, text.data(), text.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(text.size()));
    }
    /// The next line that contains `part`, or what came instead until the end.
    std::string hear(std::string_view part) {
        std::string line;
        std::string all;
        for (char c = 0; recv(fd_, &c, 1, 0) == 1;) {
            line += c;
            if (c != '\n') continue;
            if (line.contains(part)) return line;
            all += std::exchange(line, {});
        }
        return all + line + "<end>";
    }

private:
    int fd_;
};

/// A front end whose one account is entered by a master user, on a server that the test plays.
class FrontEndTest : public testing::Test {
protected:
    FrontEndTest() : server_(socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(bind(server_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(listen(server_, 8), 0);
        socklen_t length = sizeof address;
        EXPECT_EQ(getsockname(server_, reinterpret_cast<sockaddr*>(&address), &length), 0);
        const std::string port = std::to_string(ntohs(address.sin_port));
        const std::string services = R"({"imap":{"tls":"none","cache":0,"port":)" + port +
                                     R"(},"pop3":{"tls":"none","cache":0,"port":)" + port +
                                     R"(},"sieve":{"tls":"none","cache":0,"port":)" + port + "}}";
        EXPECT_TRUE(store_->commit(
            state::Transaction{}
                .put("server/far", R"({"kind":"foreign","host":"127.0.0.1","login":"master",)"
                                   R"("introduce":"none","services":)" +
                                       services + "}")
                .put("credential/far", R"({"user":"master","password":"secret"})")
                .put("domain/d.org", R"({"kind":"shared","servers":["far"]})")));
        EXPECT_TRUE(cluster::DirectoryWriter(*store_).create_account({.address = "kate@d.org"}));
        topology_ = std::make_unique<cluster::TopologyTable>(replica_, health_);
        Settings settings;
        settings.node = NodeName("front");
        for (const auto service :
             {cluster::Service::Imap, cluster::Service::Pop3, cluster::Service::Sieve}) {
            settings.listeners.push_back(
                {service, *Endpoint::parse("127.0.0.1:0"), cluster::TlsMode::None, {}, {}});
        }
        front_end_ = std::make_unique<FrontEnd>(settings, *topology_, health_, &verifier_, pool_);
        EXPECT_TRUE(front_end_->start());
    }
    ~FrontEndTest() override {
        front_end_.reset();
        close(server_);
    }

    [[nodiscard]] const Endpoint& at(cluster::Service service) const {
        return front_end_->local_endpoints()[static_cast<std::size_t>(service)];
    }
    /// The connection that the front end makes next.
    [[nodiscard]] std::unique_ptr<Client> server_side() const {
        return std::make_unique<Client>(accept(server_, nullptr, nullptr));
    }
    static std::string plain(std::string_view password) {
        using namespace std::string_literals;
        return base64_encode("\0kate@d.org\0"s + std::string(password));
    }

    state::TemporaryFolder folder_;
    std::unique_ptr<state::SqliteStore> store_ =
        state::SqliteStore::open(folder_.path() / "directory.db").value();
    std::shared_ptr<state::Replica> replica_ = state::Replica::of_store(*store_, store_->file());
    cluster::HealthTable health_;
    std::unique_ptr<cluster::TopologyTable> topology_;
    net::BlockingPool pool_{2};
    FakeVerifier verifier_;
    std::unique_ptr<FrontEnd> front_end_;
    int server_;
};

const std::string kLast = base64_encode("v=signature");

TEST_F(FrontEndTest, TheLastMessageOfAJudgeIsAChallengeInImap) {
    Client client(at(cluster::Service::Imap));
    client.hear("* OK");
    client.say("a AUTHENTICATE PLAIN " + plain("right") + "\r\n");
    EXPECT_EQ(client.hear("+"), "+ " + kLast + "\r\n");
    client.say("*\r\n");
    EXPECT_TRUE(client.hear("a ").starts_with("a BAD Authentication cancelled"));
}

TEST_F(FrontEndTest, TheLastMessageOfAJudgeIsAChallengeInPop3) {
    Client client(at(cluster::Service::Pop3));
    client.hear("+OK");
    client.say("AUTH PLAIN " + plain("right") + "\r\n");
    EXPECT_EQ(client.hear("+"), "+ " + kLast + "\r\n");
}

TEST_F(FrontEndTest, TheLastMessageOfAJudgeTravelsWithTheOkInSieve) {
    Client client(at(cluster::Service::Sieve));
    client.hear("OK");
    client.say("AUTHENTICATE \"PLAIN\" \"" + plain("right") + "\"\r\n");
    const auto server = server_side();
    server->say("\"SASL\" \"PLAIN\"\r\nOK\r\n");
    EXPECT_TRUE(server->hear("").starts_with("AUTHENTICATE"));
    server->say("OK\r\n");
    EXPECT_EQ(client.hear(""), "OK (SASL \"" + kLast + "\") \"Logged in.\"\r\n");
}

TEST_F(FrontEndTest, ThereIsNoLastMessageForTheCredentialsOfAnother) {
    verifier_.account_ = "pete@d.org";
    Client client(at(cluster::Service::Imap));
    client.hear("* OK");
    client.say("a AUTHENTICATE PLAIN " + plain("right") + "\r\n");
    EXPECT_TRUE(client.hear("").starts_with("a NO [AUTHENTICATIONFAILED]"));
}

TEST_F(FrontEndTest, AnErrorOfTheProgramEndsOneSessionOnly) {
    auto& failed = metrics::counter("muster_sessions_failed_total",
                                    "Ended by an error of the program", {{"service", "imap"}});
    const auto before = failed.value();
    Client other(at(cluster::Service::Imap));
    other.hear("* OK");
    Client client(at(cluster::Service::Imap));
    client.hear("* OK");
    testing::internal::CaptureStderr();
    client.say("a AUTHENTICATE PLAIN " + plain("broken") + "\r\n");
    EXPECT_EQ(client.hear("a "), "<end>");
    const std::string log = testing::internal::GetCapturedStderr();
    EXPECT_TRUE(log.contains("level=error") && log.contains("event=session-failed")) << log;
    EXPECT_EQ(failed.value(), before + 1);
    other.say("a NOOP\r\n");
    EXPECT_EQ(other.hear("a "), "a OK NOOP completed.\r\n");
}

TEST_F(FrontEndTest, TheDelayOfAFailedLoginDoesNotOutliveItsFrontEnd) {
    std::vector<std::unique_ptr<Client>> clients;
    auto& denied = metrics::counter("muster_logins_denied_total", "Credentials refused by the home",
                                    {{"service", "imap"}});
    const auto before = denied.value();
    for (int i = 0; i < 7; ++i) {  // the longest delay is 14 s
        clients.push_back(std::make_unique<Client>(at(cluster::Service::Imap)));
        clients.back()->hear("* OK");
        clients.back()->say("a AUTHENTICATE PLAIN " + plain("wrong") + "\r\n");
    }
    while (denied.value() < before + 7) std::this_thread::yield();
    const auto begin = net::Clock::now();
    front_end_->drain();
    for (const auto& client : clients) {
        EXPECT_TRUE(client->hear("a ").starts_with("a NO [AUTHENTICATIONFAILED]"));
        EXPECT_TRUE(client->hear("*").starts_with("* BYE "));
    }
    EXPECT_LT(net::Clock::now() - begin, std::chrono::seconds(4));
}

TEST_F(FrontEndTest, StoppingWaitsNeitherForDelaysNorForServers) {
    std::vector<std::unique_ptr<Client>> clients;
    auto& denied = metrics::counter("muster_logins_denied_total", "Credentials refused by the home",
                                    {{"service", "imap"}});
    const auto before = denied.value();
    for (int i = 0; i < 7; ++i) {
        clients.push_back(std::make_unique<Client>(at(cluster::Service::Imap)));
        clients.back()->hear("* OK");
        clients.back()->say("a AUTHENTICATE PLAIN " + plain("wrong") + "\r\n");
    }
    Client asking(at(cluster::Service::Imap));
    asking.hear("* OK");
    asking.say("a AUTHENTICATE PLAIN " + plain("right") + "\r\n");
    asking.hear("+");
    asking.say("\r\n");
    const auto server = server_side();
    server->say("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] Ready.\r\n");
    server->hear("AUTHENTICATE");
    while (denied.value() < before + 7) std::this_thread::yield();
    const auto begin = net::Clock::now();
    front_end_->stop();
    EXPECT_LT(net::Clock::now() - begin, std::chrono::seconds(4));
}

}  // namespace
}  // namespace muster::frontend
