#include "cluster/mail_host.h"

#include <gtest/gtest.h>

namespace muster::cluster {
namespace {

TEST(MailHost, ReadsWhatOperatorsWrite) {
    struct Row {
        const char* text;
        const char* name;
        std::uint16_t port;
        const char* again;
    };
    for (const auto& [text, name, port, again] :
         {Row{"Mail.Example.net", "mail.example.net", 25, "mail.example.net"},
          Row{"mail.example.net:587", "mail.example.net", 587, "mail.example.net:587"},
          Row{"[mail.example.net]:587", "mail.example.net", 587, "mail.example.net:587"},
          Row{"192.0.2.1", "192.0.2.1", 25, "192.0.2.1"},
          Row{"192.0.2.1:25", "192.0.2.1", 25, "192.0.2.1"},
          Row{"2001:db8::1", "2001:db8::1", 25, "2001:db8::1"},
          Row{"[2001:db8::1]", "2001:db8::1", 25, "2001:db8::1"},
          Row{"[2001:db8::1]:26", "2001:db8::1", 26, "[2001:db8::1]:26"}}) {
        const auto host = MailHost::parse(text);
        ASSERT_TRUE(host) << text;
        EXPECT_EQ(host->name, name);
        EXPECT_EQ(host->port, port);
        EXPECT_EQ(host->text(), again);
        EXPECT_EQ(MailHost::parse(host->text()).value(), *host);
    }
}

TEST(MailHost, RefusesTheRest) {
    for (const char* text : {"", ":25", "a.b:0", "a.b:65536", "a.b:x", "a.b:", "[a.b", "[a.b]x",
                             "[]", "a b", "a.b:25:25", "[:25", "]:25"}) {
        EXPECT_FALSE(MailHost::parse(text)) << text;
    }
}

}  // namespace
}  // namespace muster::cluster
