#include "cluster/shared_secret.h"

#include <gtest/gtest.h>

#include "cluster/entry_codec.h"

namespace muster::cluster {
namespace {

constexpr std::string_view kSecret =
    R"({"current":{"id":"b","key":"{SEALED}YQ==","x":1},"later":[2],)"
    R"("next":{"id":"c","key":"{SEALED}Yg=="},"rotated":7})";

TEST(SharedSecret, ReadsBackWithWhatIsUnknown) {
    const auto secret = decode_shared_secret("tickets", kSecret).value();
    EXPECT_EQ(secret.current.id, "b");
    EXPECT_FALSE(secret.previous);
    EXPECT_EQ(secret.next->key, "{SEALED}Yg==");
    EXPECT_EQ(secret.rotated, 7u);
    EXPECT_EQ(decode_shared_secret("tickets", encode(secret)).value(), secret);
    EXPECT_TRUE(encode(secret).contains("\"later\":[2]"));
    EXPECT_TRUE(encode(secret).contains("\"x\":1"));
}

TEST(SharedSecret, NothingThatIsInClearOrNotWhole) {
    for (const char* text :
         {"", "[]", "{}", R"({"current":{"id":"b","key":"YQ=="}})", R"({"current":{"id":"b"}})",
          R"({"current":{"key":"{SEALED}YQ=="}})", R"({"current":"b"})",
          R"({"current":{"id":"b","key":"{SEALED}YQ=="},"next":{}})",
          R"({"current":{"id":"b","key":"{SEALED}YQ=="},"rotated":"now"})"}) {
        EXPECT_FALSE(decode_shared_secret("tickets", text)) << text;
        EXPECT_FALSE(check_entry("secret/tickets", text)) << text;
    }
    EXPECT_TRUE(check_entry("secret/tickets", kSecret));
}

TEST(DkimKey, NamesLeadOutOfNoFolder) {
    const auto key =
        decode_dkim_key("example.com/s1", R"({"key":"{SEALED}YQ==","record":"v=DKIM1"})").value();
    EXPECT_EQ(key.domain.text, "example.com");
    EXPECT_EQ(key.selector, "s1");
    EXPECT_EQ(decode_dkim_key("example.com/s1", encode(key)).value(), key);
    EXPECT_EQ(parse_dkim_name("Example.COM/S1").value(), "example.com/s1");
    for (const char* name :
         {"", "/", "example.com", "example.com/", "/s1", "example.com/a.b", "example.com/../x",
          "../x/s1", "example.com/s1/x", "example.com/s 1", "example.com/.."}) {
        EXPECT_FALSE(parse_dkim_name(name)) << name;
    }
    EXPECT_FALSE(check_entry("dkim/Example.com/s1", encode(key))) << "as it must be spelt";
    EXPECT_FALSE(decode_dkim_key("example.com/s1", R"({"key":"-----BEGIN"})"));
}

}  // namespace
}  // namespace muster::cluster
