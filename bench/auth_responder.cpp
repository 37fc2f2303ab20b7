// The auth service nginx's mail proxy asks at each login: answers every request at once with the
// one server.
//
//   auth_responder --server ADDRESS:PORT      prints "port N", then serves on 127.0.0.1:N

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cstdio>
#include <string>

#include "event_loop.h"
#include "options.h"

namespace muster::bench {
namespace {

class Request final : public Watched {
public:
    Request(EventLoop& loop, Fd socket, const std::string& answer)
        : loop_(loop), socket_(std::move(socket)), answer_(answer) {
        loop_.add(socket_.get(), EPOLLIN, this);
    }

    void ready(std::uint32_t) override {
        std::array<char, 4096> buffer;
        const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), 0);
        if (got > 0) request_.append(buffer.data(), static_cast<std::size_t>(got));
        if (got > 0 && !request_.ends_with("\r\n\r\n")) return;
        if (got > 0) ::send(socket_.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL);
        socket_.reset();
        loop_.retire(std::unique_ptr<Watched>(this));
    }

private:
    EventLoop& loop_;
    Fd socket_;
    const std::string& answer_;
    std::string request_;
};

std::string answer_for(const std::string& server) {
    const auto colon = server.rfind(':');
    return "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: " + server.substr(0, colon) +
           "\r\nAuth-Port: " + server.substr(colon + 1) + "\r\n\r\n";
}

}  // namespace
}  // namespace muster::bench

int main(int argc, char** argv) {
    using namespace muster::bench;
    const Options options(argc, argv, 1);
    const std::string answer = answer_for(options.text("server"));
    EventLoop loop;
    Fd listener = listen_loopback();
    std::printf("port %u\n", local_port(listener));
    std::fflush(stdout);
    loop.listen(std::move(listener),
                [&](Fd client) { new Request(loop, std::move(client), answer); });
    loop.run();
}
