#include "frontend/health_checks.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "cluster/directory_writer.h"
#include "net/loop.h"
#include "state/sqlite_store.h"
#include "unit/state/temporary_folder.h"

namespace muster::frontend {
namespace {

/// A server that takes one connection and says nothing.
class SilentServer {
public:
    SilentServer() : listening_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const any = reinterpret_cast<sockaddr*>(&address);
        EXPECT_EQ(::bind(listening_, any, size), 0);
        EXPECT_EQ(::listen(listening_, 8), 0);
        EXPECT_EQ(::getsockname(listening_, any, &size), 0);
        port_ = ntohs(address.sin_port);
    }
    SilentServer(const SilentServer&) = delete;
    SilentServer& operator=(const SilentServer&) = delete;
    ~SilentServer() {
        ::close(taken_);
        ::close(listening_);
    }
    [[nodiscard]] std::uint16_t port() const { return port_; }
    void take() { taken_ = ::accept(listening_, nullptr, nullptr); }

private:
    int listening_;
    int taken_ = -1;
    std::uint16_t port_ = 0;
};

TEST(HealthChecks, AStopWaitsForNoServerAndSaysNothingOfIt) {
    const state::TemporaryFolder folder;
    const auto store = *state::SqliteStore::open(folder.file("directory.db"));
    SilentServer silent;
    cluster::Server server;
    server.name = ServerName("sv1");
    server.kind = cluster::ServerKind::Foreign;
    server.host = "127.0.0.1";
    server.services[static_cast<std::size_t>(cluster::Service::Imap)] =
        cluster::ServiceSettings{.port = silent.port(), .tls = cluster::TlsMode::None};
    ASSERT_TRUE(cluster::DirectoryWriter(*store).put(server));
    const auto replica = state::Replica::of_store(*store, store->file());
    cluster::HealthTable health;
    const cluster::TopologyTable topology(replica, health);
    HostAddresses hosts(topology);
    const UpstreamSettings settings{
        .source_addresses = {}, .connect_time = std::chrono::hours(1), .authorities = {}};
    net::Loop loop;
    HealthChecks checks(loop, settings, topology, health, hosts);
    loop.post([&checks] { checks.start(); });
    std::thread thread([&loop] { loop.run(); });
    silent.take();
    loop.post([&] {
        checks.stop();
        loop.stop_when_idle();
    });
    thread.join();
    EXPECT_TRUE(health.of(server.name)->usable(cluster::Service::Imap));
}

}  // namespace
}  // namespace muster::frontend
