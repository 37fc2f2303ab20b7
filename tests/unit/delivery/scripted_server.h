#pragma once
// A mail server on the other end of a socket pair: what it says at once, and what it says after it
// has heard something. The test's task runs beside it on one loop.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "delivery/mail_upstream.h"
#include "net/loop.h"

namespace muster::delivery {

/// One turn of the server: it reads until what it has heard in this turn ends with `until` (empty:
/// reads nothing), then says `says`, then perhaps does its part of a TLS handshake.
struct Turn {
    std::string until;
    std::string says;
    std::shared_ptr<const net::TlsServer> tls{};
};

class ScriptedServer {
public:
    explicit ScriptedServer(std::vector<Turn> turns) : turns_(std::move(turns)) {
        std::array<int, 2> pair{};
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair.data()), 0);
        client_fd_ = pair[0];
        server_ = std::make_unique<net::SocketStream>(loop_, pair[1]);
    }

    /// The client's side, once.
    std::unique_ptr<net::SocketStream> stream() {
        return std::make_unique<net::SocketStream>(loop_, client_fd_);
    }
    net::Loop& loop() { return loop_; }

    /// Runs the script beside `test` until both have ended. The server closes when its script is
    /// over, unless it `stays`.
    void run(Task<void> test) {
        loop_.tasks().spawn(serve());
        loop_.tasks().spawn(std::move(test));
        loop_.stop_when_idle();
        loop_.run();
    }

    /// What was heard, a string a read: the client's writes, as long as the server waits for each.
    std::vector<std::string> heard;
    bool stays = false;

    [[nodiscard]] std::string all() const {
        std::string text;
        for (const auto& one : heard) text += one;
        return text;
    }

private:
    Task<void> serve() {
        try {
            for (const Turn& turn : turns_) {
                co_await hear(turn.until);
                co_await server_->write(turn.says);
                if (!turn.tls) continue;
                const auto secured = co_await server_->accept_tls(*turn.tls);
                if (!secured) break;
            }
            if (stays) co_await hear("never");
        } catch (const net::ConversationOver&) {
            turns_.clear();
        }
        server_.reset();
    }
    Task<void> hear(std::string until) {
        std::string turn;
        std::array<char, 65536> buffer{};
        while (!turn.ends_with(until)) {
            const std::size_t count = co_await server_->read_some(buffer);
            if (count == 0) throw net::ConversationOver(net::EndReason::PeerGone);
            heard.emplace_back(buffer.data(), count);
            turn += heard.back();
        }
    }

    net::Loop loop_;
    std::vector<Turn> turns_;
    int client_fd_ = -1;
    std::unique_ptr<net::SocketStream> server_;
};

}  // namespace muster::delivery
