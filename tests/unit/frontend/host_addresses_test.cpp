#include "frontend/host_addresses.h"

#include <gtest/gtest.h>

#include "cluster/directory_writer.h"
#include "state/sqlite_store.h"
#include "unit/state/temporary_folder.h"

namespace muster::frontend {
namespace {

class HostAddressesTest : public testing::Test {
protected:
    HostAddressesTest()
        : store_(state::SqliteStore::open(folder_.path() / "directory.db").value()) {
        cluster::DirectoryWriter writer(*store_);
        cluster::Server server;
        server.name = ServerName("sv1");
        server.host = "localhost";
        EXPECT_TRUE(writer.put(server));
        replica_ = state::Replica::of_store(*store_, store_->file());
    }

    static IpAddress address(const char* text) { return *IpAddress::parse(text); }

    state::TemporaryFolder folder_;
    std::shared_ptr<state::SqliteStore> store_;
    std::shared_ptr<state::Replica> replica_;
    cluster::HealthTable health_;
};

TEST_F(HostAddressesTest, KnowsTheAddressesOfANameAndOfALiteral) {
    const cluster::TopologyTable topology(replica_, health_);
    HostAddresses hosts(topology);
    EXPECT_TRUE(hosts.has("localhost", address("127.0.0.1")));
    EXPECT_FALSE(hosts.has("localhost", address("192.0.2.1")));
    EXPECT_FALSE(hosts.has("elsewhere.example", address("127.0.0.1")));
    EXPECT_TRUE(hosts.has("192.0.2.1", address("192.0.2.1")));
    EXPECT_FALSE(hosts.has("192.0.2.1", address("192.0.2.2")));
    EXPECT_TRUE(hosts.find("localhost"));
    EXPECT_FALSE(hosts.find("elsewhere.example"));
}

}  // namespace
}  // namespace muster::frontend
