#include "admin/smtp_listeners.h"

#include <gtest/gtest.h>

namespace muster::admin {
namespace {

using Texts = std::vector<std::string>;

NodeConfig with_listeners(std::vector<ListenerSettings> listeners) {
    NodeConfig config;
    config.listeners = std::move(listeners);
    return config;
}

TEST(SmtpListeners, ANodeTellsThoseThatBackEndsCanUse) {
    EXPECT_EQ(
        told_smtp_listeners(with_listeners({{"imap", "192.0.2.1:143", "starttls", "", {}},
                                            {"smtp", "192.0.2.1:25", "starttls", "", {}},
                                            {"smtp", "[::]:25", "none", "", {}},
                                            {"smtp", "192.0.2.1:465", "implicit", "", {}},
                                            {"submission", "192.0.2.1:587", "none", "", {}}})),
        "192.0.2.1:25 [::]:25");
    EXPECT_EQ(told_smtp_listeners(with_listeners({})), "none");
}

TEST(SmtpListeners, OneOnAllAddressesIsWhereTheNodeWasSeen) {
    EXPECT_EQ(smtp_listeners_from("0.0.0.0:25 [::]:25 198.51.100.9:2525", "192.0.2.7"),
              (Texts{"192.0.2.7:25", "198.51.100.9:2525"}));
    EXPECT_EQ(smtp_listeners_from("[::]:25", "[2001:db8::7]"), Texts{"[2001:db8::7]:25"});
    EXPECT_EQ(smtp_listeners_from("0.0.0.0:25", "fe1.example.org"), Texts{"fe1.example.org:25"});
    EXPECT_EQ(smtp_listeners_from("0.0.0.0:25", ""), Texts{}) << "a node that nobody reaches";
}

TEST(SmtpListeners, NonsenseIsLeftOutAndThereAreNotManyOfThem) {
    EXPECT_EQ(smtp_listeners_from("none", "192.0.2.7"), Texts{});
    EXPECT_EQ(smtp_listeners_from("192.0.2.1:0 x:25  192.0.2.1:25 192.0.2.1:25", ""),
              Texts{"192.0.2.1:25"});
    std::string many;
    for (int port = 1; port < 100; ++port) many += "192.0.2.1:" + std::to_string(port) + " ";
    EXPECT_EQ(smtp_listeners_from(many, "").size(), 8U);
}

}  // namespace
}  // namespace muster::admin
