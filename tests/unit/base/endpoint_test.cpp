#include "base/endpoint.h"

#include <gtest/gtest.h>

#include <vector>

namespace muster {
namespace {

using namespace std::string_view_literals;

TEST(IpAddress, prints_the_shortest_form) {
    struct Row {
        std::string_view in;
        std::string_view out;
    };
    for (auto [in, out] : {
             Row{"192.0.2.1", "192.0.2.1"},
             Row{"0.0.0.0", "0.0.0.0"},
             Row{"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
             Row{"::", "::"},
             Row{"::1", "::1"},
             Row{"::ffff:192.0.2.1", "192.0.2.1"},
             Row{"::ffff:c000:201", "192.0.2.1"},
         }) {
        auto address = IpAddress::parse(in);
        ASSERT_TRUE(address) << in;
        EXPECT_EQ(address->text(), out);
        EXPECT_EQ(IpAddress::parse(address->text()), *address);
    }
}

TEST(IpAddress, refuses_what_is_none) {
    for (auto text :
         {""sv, "1.2.3"sv, "1.2.3.4.5"sv, "256.1.1.1"sv, "01.2.3.4"sv, " 1.2.3.4"sv, "1.2.3.4\0"sv,
          "1.2.3.4\0.5"sv, "::1%eth0"sv, "[::1]"sv, "1::2::3"sv, "localhost"sv,
          "1:2:3:4:5:6:7:8:9"sv, "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111"sv})
        EXPECT_FALSE(IpAddress::parse(text)) << text;
}

TEST(IpAddress, knows_its_kinds) {
    auto kind = [](std::string_view text) { return *IpAddress::parse(text); };
    EXPECT_TRUE(kind("127.9.9.9").is_loopback());
    EXPECT_TRUE(kind("::1").is_loopback());
    EXPECT_TRUE(kind("::ffff:127.0.0.1").is_loopback());
    EXPECT_FALSE(kind("128.0.0.1").is_loopback());
    EXPECT_TRUE(kind("0.0.0.0").is_unspecified());
    EXPECT_TRUE(IpAddress().is_unspecified());
    EXPECT_FALSE(kind("0.0.0.1").is_unspecified());
    EXPECT_FALSE(IpAddress().is_v4());
    EXPECT_NE(kind("0.0.0.0"), kind("::"));
}

TEST(Endpoint, reads_and_prints) {
    for (auto text : {"127.0.0.1:143", "[::1]:143", "0.0.0.0:0", "[2001:db8::1]:65535"}) {
        auto endpoint = Endpoint::parse(text);
        ASSERT_TRUE(endpoint) << text;
        EXPECT_EQ(endpoint->text(), text);
    }
    EXPECT_EQ(Endpoint::parse("[::ffff:10.0.0.1]:25")->text(), "10.0.0.1:25");
}

TEST(Endpoint, refuses_what_is_none) {
    for (auto text : {"", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
                      "127.0.0.1:+1", "127.0.0.1:01", "127.0.0.1:99999999999999999999", "::1:143",
                      "[127.0.0.1]:143", "[::1]143", "[::1]:143 ", "host:143", "[]:1", "[:1"})
        EXPECT_FALSE(Endpoint::parse(text)) << text;
}

TEST(Network, contains_its_addresses) {
    struct Row {
        std::string_view network;
        std::string_view address;
        bool contained;
    };
    for (auto [network, address, contained] : {
             Row{"10.0.0.0/8", "10.255.1.2", true},
             Row{"10.0.0.0/8", "11.0.0.0", false},
             Row{"10.1.2.3/8", "10.9.9.9", true},
             Row{"192.0.2.1", "192.0.2.1", true},
             Row{"192.0.2.1", "192.0.2.2", false},
             Row{"192.0.2.0/31", "192.0.2.1", true},
             Row{"192.0.2.0/31", "192.0.2.2", false},
             Row{"0.0.0.0/0", "1.2.3.4", true},
             Row{"0.0.0.0/0", "::1", false},
             Row{"::/0", "2001:db8::1", true},
             Row{"::/0", "1.2.3.4", false},
             Row{"2001:db8::/33", "2001:db8:7fff::1", true},
             Row{"2001:db8::/33", "2001:db8:8000::1", false},
             Row{"10.0.0.0/8", "::ffff:10.0.0.1", true},
             Row{"::ffff:10.0.0.0/104", "10.1.1.1", true},
         })
        EXPECT_EQ(Network::parse(network)->contains(*IpAddress::parse(address)), contained)
            << network << ' ' << address;
}

TEST(Network, prints_without_the_host_bits) {
    EXPECT_EQ(Network::parse("10.1.2.3/8")->text(), "10.0.0.0/8");
    EXPECT_EQ(Network::parse("192.0.2.1")->text(), "192.0.2.1/32");
    EXPECT_EQ(Network::parse("2001:db8::1/32")->text(), "2001:db8::/32");
    EXPECT_EQ(Network::parse("::1")->text(), "::1/128");
}

TEST(Network, refuses_what_is_none) {
    for (auto text : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "::/129",
                      "::ffff:10.0.0.0/8", "10.0.0.0/8/8", "10.0.0/8"})
        EXPECT_FALSE(Network::parse(text)) << text;
}

TEST(Network, any_of_a_list) {
    std::vector<Network> list{*Network::parse("10.0.0.0/8"), *Network::parse("::1")};
    EXPECT_TRUE(any_contains(list, *IpAddress::parse("::1")));
    EXPECT_FALSE(any_contains(list, *IpAddress::parse("::2")));
    EXPECT_FALSE(any_contains({}, *IpAddress::parse("::1")));
}

}  // namespace
}  // namespace muster
