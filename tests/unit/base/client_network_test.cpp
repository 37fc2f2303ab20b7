#include "base/client_network.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

TEST(ClientNetwork, IsTheAddressOfIpv4AndTheNetworkOfIpv6) {
    const auto network = [](const char* text) { return client_network(*IpAddress::parse(text)); };
    EXPECT_EQ(network("192.0.2.1"), *IpAddress::parse("192.0.2.1"));
    EXPECT_NE(network("192.0.2.1"), network("192.0.2.2"));
    EXPECT_EQ(network("2001:db8::1"), network("2001:db8::ffff:1"));
    EXPECT_NE(network("2001:db8::1"), network("2001:db8:0:1::1"));
}

}  // namespace
}  // namespace muster
