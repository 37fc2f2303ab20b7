#include "net/pump.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "net/loop.h"

namespace muster::net {
namespace {

/// A client and a server, each at the far end of a socket pair, and the pump between them.
class PumpTest : public ::testing::Test {
protected:
    PumpTest() {
        std::array<int, 2> client{};
        std::array<int, 2> server{};
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, client.data()), 0);
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, server.data()), 0);
        client_fd = client[0];
        server_fd = server[0];
        for (const int fd : {client[1], server[1]}) make_non_blocking(fd);
        client_side = std::make_unique<SocketStream>(loop, client[1]);
        server_side = std::make_unique<SocketStream>(loop, server[1]);
    }
    ~PumpTest() override {
        close(client_fd);
        close(server_fd);
    }
    static void make_non_blocking(int fd);

    Task<void> pump(Duration idle) {
        Pump between(*client_side, *server_side, idle, farewell);
        running = &between;
        moved = co_await between;
        running = nullptr;
        loop.stop();
    }
    void run(Duration idle = std::chrono::minutes{30}) {
        loop.tasks().spawn(pump(idle));
        if (running != nullptr) loop.run();
    }

    Loop loop;
    std::unique_ptr<SocketStream> client_side;
    std::unique_ptr<SocketStream> server_side;
    int client_fd = -1;
    int server_fd = -1;
    Pump* running = nullptr;
    Duration farewell{30'000};
    Moved moved;
};

void PumpTest::make_non_blocking(int fd) {
    EXPECT_EQ(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

std::string read_all(int fd) {
    std::string text;
    std::array<char, 65536> buffer{};
    for (ssize_t n = 0; (n = read(fd, buffer.data(), buffer.size())) > 0;) {
        text.append(buffer.data(), static_cast<std::size_t>(n));
    }
    return text;
}

void write_all(int fd, std::string_view data) {
    while (!data.empty()) {
        const ssize_t n = write(fd, data.data(), data.size());
        ASSERT_GT(n, 0);
        data.remove_prefix(static_cast<std::size_t>(n));
    }
}

TEST_F(PumpTest, MovesBothDirectionsAndEndsWhenBothSidesEnded) {
    std::string big(3'000'000, 'x');
    for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 7 / 5);
    std::string at_server;
    std::string at_client;
    std::thread server([&] {
        write_all(server_fd, big);
        shutdown(server_fd, SHUT_WR);
        at_server = read_all(server_fd);
    });
    std::thread client([&] {
        write_all(client_fd, "a LOGOUT\r\n");
        at_client = read_all(client_fd);
        shutdown(client_fd, SHUT_WR);
    });
    run();
    client_side.reset();
    client.join();
    server_side.reset();
    server.join();
    EXPECT_EQ(at_server, "a LOGOUT\r\n");
    EXPECT_TRUE(at_client == big);
    EXPECT_EQ(moved.to_client, big.size());
    EXPECT_EQ(moved.to_server, 10U);
    EXPECT_EQ(moved.reason, EndReason::ServerClosed);
}

TEST_F(PumpTest, AHalfClosedClientStillGetsItsAnswer) {
    write_all(client_fd, "QUIT\r\n");
    shutdown(client_fd, SHUT_WR);
    std::thread server([&] {
        EXPECT_EQ(read_all(server_fd), "QUIT\r\n");
        write_all(server_fd, "+OK\r\n");
        shutdown(server_fd, SHUT_WR);
    });
    run();
    server.join();
    client_side.reset();
    EXPECT_EQ(read_all(client_fd), "+OK\r\n");
    EXPECT_EQ(moved.reason, EndReason::ClientClosed);
}

TEST_F(PumpTest, EndsWhenNothingMovesForTheIdleLimit) {
    run(Duration{4});
    EXPECT_EQ(moved.reason, EndReason::Deadline);
}

TEST_F(PumpTest, ASilentServerIsNotWaitedForOnceItsClientHasLeft) {
    farewell = Duration{4};
    write_all(client_fd, "a NOOP\r\n");
    shutdown(client_fd, SHUT_WR);
    run();
    EXPECT_EQ(moved.to_server, 8U);
    EXPECT_EQ(moved.reason, EndReason::Deadline);
}

TEST_F(PumpTest, EndsWhenKicked) {
    loop.post([this] { running->abort(EndReason::Kicked); });
    run();
    EXPECT_EQ(moved.reason, EndReason::Kicked);
}

}  // namespace
}  // namespace muster::net
