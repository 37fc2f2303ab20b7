#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "net/connect.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/pki.h"

namespace muster::net {
namespace {

/// A server on a thread of its own; the kernel chooses its port.
class Served {
public:
    explicit Served(HttpServer::Handler handler, std::shared_ptr<const TlsServer> tls = nullptr,
                    HttpLimits limits = {})
        : server_(loop_, limits, std::move(handler)) {
        const auto at = server_.listen(*Endpoint::parse("127.0.0.1:0"), tls);
        MUSTER_CHECK(at);
        port = at->port;
        thread_ = std::thread([this] { loop_.run(); });
    }
    ~Served() {
        loop_.post([this] { loop_.tasks().spawn(end()); });
        thread_.join();
    }
    std::uint16_t port = 0;

private:
    Task<void> end() {
        co_await server_.close();
        loop_.stop();
    }
    Loop loop_;
    HttpServer server_;
    std::thread thread_;
};

Task<void> echo(HttpExchange& exchange) {
    auto body = co_await exchange.body(1 << 20);
    HttpResponse response;
    if (!body) {
        response.status = body.error().kind == ErrorKind::Limit ? 413 : 400;
        response.body = body.error().detail;
    } else {
        response.body = exchange.request().method + " " + exchange.request().path + " " +
                        exchange.request().query + " " + *body;
    }
    co_await exchange.respond(response);
}

Task<void> count_up(HttpExchange& exchange) {
    co_await exchange.begin({});
    for (int i = 0; i < 5; ++i) co_await exchange.send(std::to_string(i) + "\n");
    co_await exchange.finish();
}

Task<void> break_off(HttpExchange& exchange) {
    co_await exchange.begin({});
    co_await exchange.send("half of it");
}

Task<void> tell_pin(HttpExchange& exchange) {
    HttpResponse response;
    response.body = exchange.request().peer_pin;
    co_await exchange.respond(response);
}

HttpTarget plain(std::uint16_t port) {
    HttpTarget target;
    target.origin = "http://127.0.0.1:" + std::to_string(port);
    return target;
}

int connected(std::uint16_t port) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    return fd;
}

/// Sends bytes as they are and returns everything that comes back.
std::string raw(std::uint16_t port, std::string_view bytes) {
    const int fd = connected(port);
    send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);  // a server that refuses has closed
    shutdown(fd, SHUT_WR);
    std::string all;
    std::array<char, 4096> buffer{};
    for (ssize_t n = 0; (n = recv(fd, buffer.data(), buffer.size(), 0)) > 0;) {
        all.append(buffer.data(), static_cast<std::size_t>(n));
    }
    close(fd);
    return all;
}

std::size_t occurrences(std::string_view text, std::string_view of) {
    std::size_t found = 0;
    for (std::size_t at = 0; (at = text.find(of, at)) != std::string_view::npos; ++at) ++found;
    return found;
}

TEST(Http, AnswersCallsOnOneConnection) {
    const Served served(echo);
    HttpClient client(plain(served.port));
    for (const char* method : {"POST", "PUT", "PATCH", "DELETE"}) {
        const auto reply = client.call({method, "/a/b?c=d", "body"});
        ASSERT_TRUE(reply) << reply.error().detail;
        EXPECT_EQ(reply->body, std::string(method) + " /a/b c=d body");
    }
    EXPECT_EQ(client.call({"GET", "/"})->body, "GET /  ");
}

TEST(Http, BoundsBodies) {
    const Served served(echo);
    HttpClient client(plain(served.port));
    EXPECT_EQ(client.call({"POST", "/", std::string((1 << 20) + 1, 'x')})->status, 413);
    EXPECT_EQ(client.call({"POST", "/", std::string(1 << 20, 'x')})->status, 200);
}

TEST(Http, StreamsBothWays) {
    const Served up(echo);
    HttpClient client(plain(up.port));
    int left = 100;
    HttpCall call{"PUT", "/up"};
    call.upload = [&left](char* into, std::size_t) -> std::size_t {
        if (left-- == 0) return 0;
        *into = 'x';
        return 1;
    };
    EXPECT_EQ(client.call(call)->body, "PUT /up  " + std::string(100, 'x'));

    const Served down(count_up);
    HttpClient reader(plain(down.port));
    std::string seen;
    const auto reply = reader.stream({"GET", "/"}, [&seen](int status, std::string_view bytes) {
        EXPECT_EQ(status, 200);
        seen += bytes;
        return true;
    });
    ASSERT_TRUE(reply);
    EXPECT_EQ(seen, "0\n1\n2\n3\n4\n");
    EXPECT_TRUE(reader.stream({"GET", "/"}, [](int, std::string_view) { return false; }));
}

TEST(Http, ServesPipelinedRequests) {
    const Served served(echo);
    const std::string answers = raw(served.port,
                                    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: "
                                    "a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                                    "GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(occurrences(answers, "200 OK"), 3U);
    EXPECT_NE(answers.find("POST /2  abc"), std::string::npos);
}

TEST(Http, RefusesWhatBreaksTheGrammarOrItsBounds) {
    HttpLimits limits;
    limits.header_bytes = 1024;
    const Served served(echo, nullptr, limits);
    EXPECT_TRUE(raw(served.port, "rubbish\r\n\r\n").starts_with("HTTP/1.1 400"));
    EXPECT_TRUE(raw(served.port, std::string_view("GET /\0 HTTP/1.1\r\n\r\n", 19))
                    .starts_with("HTTP/1.1 400"));
    EXPECT_TRUE(raw(served.port, "GET / HTTP/1.1\r\nA: " + std::string(2000, 'x') + "\r\n\r\n")
                    .starts_with("HTTP/1.1 431"));
    EXPECT_TRUE(raw(served.port,
                    "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: "
                    "chunked\r\n\r\n0\r\n\r\n")
                    .starts_with("HTTP/1.1 400"));
    EXPECT_TRUE(raw(served.port, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
                    .starts_with("HTTP/1.1 400"));
    EXPECT_EQ(raw(served.port, ""), "");
}

TEST(Http, AHeadThatDripsInIsCutOff) {
    HttpLimits limits;
    limits.header_time = Duration{40};
    const Served served(echo, nullptr, limits);
    const int fd = connected(served.port);
    int sent = 0;
    pollfd readable{fd, POLLIN, 0};
    // Each byte comes well before the time is over; all of them never do.
    while (sent < 2000 && send(fd, "x", 1, MSG_NOSIGNAL) == 1 && poll(&readable, 1, 5) == 0) ++sent;
    EXPECT_LT(sent, 2000);
    close(fd);
}

TEST(Http, OneAddressDoesNotTakeAllConnections) {
    HttpLimits limits;
    limits.connections_per_address = 2;
    const Served served(echo, nullptr, limits);
    const int first = connected(served.port);
    const int second = connected(served.port);
    EXPECT_EQ(raw(served.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "");
    close(first);
    // The server learns of the end in its own time.
    std::string answer;
    while (answer.empty()) answer = raw(served.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200"));
    close(second);
}

TEST(Http, BodyThatNobodyReadEndsTheConnection) {
    const Served served(tell_pin);
    const std::string answer =
        raw(served.port,
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1"
            "\r\n\r\n");
    EXPECT_EQ(occurrences(answer, "HTTP/1.1"), 1U);
    EXPECT_NE(answer.find("Connection: close"), std::string::npos);
}

TEST(Http, PeersKnowEachOtherByTheirPins) {
    const std::string server_key = make_key();
    const std::string client_key = make_key();
    const auto tls = TlsServer::create({{*self_signed(server_key, {"server", {}}), server_key, {}}},
                                       TlsVersion::Tls13, true);
    ASSERT_TRUE(tls);
    const Served served(tell_pin, *tls);
    HttpTarget target;
    target.origin = "https://127.0.0.1:" + std::to_string(served.port);
    target.trust = {TlsTrust::Kind::Pin, "", *pin_of(server_key)};
    target.chain = *self_signed(client_key, {"client", {}});
    target.key = client_key;
    HttpClient client(target);
    const auto reply = client.call({"GET", "/"});
    ASSERT_TRUE(reply) << reply.error().detail;
    EXPECT_EQ(reply->body, *pin_of(client_key));
    EXPECT_EQ(client.peer_pin(), *pin_of(server_key));

    target.trust.pin = *pin_of(client_key);
    HttpClient deceived(target);
    const auto refused = deceived.call({"GET", "/"});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::Refused);
}

Task<void> be_silent(HttpExchange& exchange) {
    co_await exchange.begin({});
    co_await exchange.send("first");
    co_await exchange.pause(Duration(60'000));
}

TEST(Http, AnAnswerThatIsNotFinishedIsNoAnswer) {
    const Served served(break_off);
    HttpClient client(plain(served.port));
    const auto reply = client.call({"GET", "/"});
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().kind, ErrorKind::Unavailable);
}

TEST(Http, ASilentStreamEnds) {
    const Served served(be_silent);
    HttpTarget target = plain(served.port);
    target.inactivity = std::chrono::milliseconds(1);
    HttpClient client(target);
    const auto reply = client.stream({"GET", "/"}, [](int, std::string_view) { return true; });
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().kind, ErrorKind::Unavailable);
}

TEST(Http, AStreamCanBeCancelled) {
    const Served served(be_silent);
    HttpClient client(plain(served.port));
    const auto reply = client.stream({"GET", "/"}, [&client](int, std::string_view) {
        client.cancel();
        return true;
    });
    ASSERT_FALSE(reply);
}

TEST(HttpMessage, ReadsQueriesAndEscapes) {
    EXPECT_EQ(query_value("a=1&b=x%20y&c", "b"), "x y");
    EXPECT_EQ(query_value("a=1&b=x%20y&c", "c"), "");
    EXPECT_EQ(query_value("a=1", "b"), std::nullopt);
    EXPECT_EQ(percent_decoded("%4"), std::nullopt);
    EXPECT_EQ(percent_decoded("%zz"), std::nullopt);
    EXPECT_EQ(percent_decoded("%00"), std::nullopt);
    EXPECT_EQ(percent_decoded(percent_encoded("a/b c@d")), "a/b c@d");
}

}  // namespace
}  // namespace muster::net
