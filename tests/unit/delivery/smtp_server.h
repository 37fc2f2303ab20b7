#pragma once
// An SMTP server on loopback for tests.

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/socket_address.h"
#include "net/socket_stream.h"

namespace muster::delivery {

/// An SMTP server on loopback that says for each connection what its script says, whatever it
/// hears: a script is what it says at first and then after each thing it hears.
class SmtpServer {
public:
    using Script = std::vector<std::string>;

    SmtpServer(net::Loop& loop, std::vector<Script> scripts)
        : loop_(loop), scripts_(std::move(scripts)) {
        fd_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        net::SocketAddress any(*Endpoint::parse("127.0.0.1:0"));
        EXPECT_EQ(bind(fd_, any.data(), any.length), 0);
        EXPECT_EQ(listen(fd_, 8), 0);
        socklen_t length = sizeof any.storage;
        EXPECT_EQ(getsockname(fd_, any.data(), &length), 0);
        endpoint_ = any.endpoint();
        listener_ = std::make_unique<net::Descriptor>(loop_, fd_);
    }

    [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }
    /// Takes as many connections as it has scripts.
    Task<void> run() {
        try {
            for (Script& script : scripts_) {
                int fd = -1;
                net::SocketAddress peer(endpoint_);
                socklen_t length = sizeof peer.storage;
                while ((fd = accept4(fd_, peer.data(), &length, SOCK_NONBLOCK)) < 0) {
                    listener_->exhausted(net::Direction::Read);
                    co_await listener_->ready(net::Direction::Read);
                }
                ++accepted;
                peers.push_back(peer.endpoint().address.text());
                loop_.tasks().spawn(serve(fd, std::move(script)));
            }
        } catch (const net::ConversationOver&) {
            accepted += 0;  // the test is over
        }
    }
    void stop() { listener_->abort(net::EndReason::Draining); }

    unsigned accepted = 0;
    std::string heard;
    std::vector<std::string> peers;  ///< addresses of the clients

private:
    Task<void> serve(int fd, Script script) {
        net::SocketStream stream(loop_, fd);
        std::array<char, 4096> buffer{};
        try {
            for (std::size_t i = 0; i < script.size(); ++i) {
                if (i > 0) heard.append(buffer.data(), co_await stream.read_some(buffer));
                co_await stream.write(script[i]);
            }
        } catch (const net::ConversationOver&) {
            heard += "(lost)";
        }
    }

    net::Loop& loop_;
    std::vector<Script> scripts_;
    int fd_;
    Endpoint endpoint_;
    std::unique_ptr<net::Descriptor> listener_;
};

}  // namespace muster::delivery
