#pragma once
// A client session on one end of a socket pair; the test is the client on the other.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>

#include "frontend/client_session.h"
#include "net/loop.h"
#include "wire/imap.h"

namespace muster::frontend {

class FakeHost final : public SessionHost {
public:
    [[nodiscard]] const Limits& limits() const override { return limits_; }
    [[nodiscard]] const std::string& announcement(cluster::Service, const wire::Offer& offer,
                                                  const cluster::LoginContext&) override {
        announced_ = wire::imap::write_capabilities(wire::imap::before_login(capabilities_, offer));
        return announced_;
    }
    [[nodiscard]] bool scram_works(cluster::Service, const cluster::LoginContext&) override {
        return true;
    }
    [[nodiscard]] std::shared_ptr<const net::TlsServer> certificates() override { return nullptr; }
    [[nodiscard]] bool draining() const override { return draining_; }

    Limits limits_;
    wire::Capabilities capabilities_;
    std::string announced_;
    bool draining_ = false;
};

/// What a whole conversation came to.
struct Outcome {
    std::optional<Login> login;
    std::string heard;  ///< all that the client was told
    bool over = false;  ///< ended by an exception
};

/// Says `client_says` at once, closes the client's sending side, and runs the session.
template <typename Session>
class SessionRun {
public:
    explicit SessionRun(FakeHost& host, cluster::TlsMode tls = cluster::TlsMode::None) {
        listener_.tls = tls;
        std::array<int, 2> pair{};
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()), 0);
        client_fd_ = pair[0];
        EXPECT_EQ(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
        stream_ = std::make_unique<net::SocketStream>(loop_, pair[1]);
        session_ = std::make_unique<Session>(host, listener_, *stream_, peer_);
    }
    ~SessionRun() { close(client_fd_); }
    SessionRun(const SessionRun&) = delete;
    SessionRun& operator=(const SessionRun&) = delete;

    Outcome operator()(std::string_view client_says) {
        EXPECT_EQ(write(client_fd_, client_says.data(), client_says.size()),
                  static_cast<ssize_t>(client_says.size()));
        shutdown(client_fd_, SHUT_WR);
        loop_.tasks().spawn(run());
        loop_.stop_when_idle();
        loop_.run();
        stream_->shutdown_write();
        std::array<char, 4096> buffer{};
        for (ssize_t n = 0; (n = read(client_fd_, buffer.data(), buffer.size())) > 0;) {
            outcome_.heard.append(buffer.data(), static_cast<std::size_t>(n));
        }
        return outcome_;
    }
    Session& session() { return *session_; }

private:
    Task<void> run() {
        try {
            co_await session_->greet();
            outcome_.login = co_await session_->identify();
        } catch (const net::ConversationOver&) {
            outcome_.over = true;
        }
    }

    net::Loop loop_;
    ListenerSettings listener_;
    Peer peer_{*Endpoint::parse("192.0.2.7:4711"), *Endpoint::parse("198.51.100.1:143"),
               SessionId("session")};
    int client_fd_ = -1;
    std::unique_ptr<net::SocketStream> stream_;
    std::unique_ptr<Session> session_;
    Outcome outcome_;
};

}  // namespace muster::frontend
