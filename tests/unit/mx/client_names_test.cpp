// Which names of DNS may be told on.

#include "mx/client_names.h"

#include <gtest/gtest.h>

namespace muster::mx {
namespace {

TEST(ClientNames, OnlyHostNamesAreAskedForAndOnlyAFew) {
    net::DnsAnswer answer;
    answer.names = {"a_b.example", "localhost", "a.example",
                    "b b.example", "b.example", std::string(250, 'x') + ".org",
                    "c.example",   "d.example"};
    EXPECT_EQ(names_to_confirm(answer),
              (std::vector<std::string>{"a.example", "b.example", "c.example"}));
    EXPECT_FALSE(is_host_name("a.example\r\nRSET"));
    EXPECT_FALSE(is_host_name("a.example)"));
    EXPECT_FALSE(is_host_name(""));
}

}  // namespace
}  // namespace muster::mx
