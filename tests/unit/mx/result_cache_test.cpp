// What was delivered although its client did not hear so is known when it comes again.

#include "mx/result_cache.h"

#include <gtest/gtest.h>

namespace muster::mx {
namespace {

MessageIdentity message() {
    return {.client = *IpAddress::parse("192.0.2.1"),
            .sender = "a@b.example",
            .recipients = {"k@example.org", "j@example.org"},
            .message_id = "<1@b>",
            .size = 100};
}

TEST(ResultCache, KnowsTheSameMessageOfTheSameClient) {
    ResultCache cache;
    EXPECT_TRUE(cache.find(message()).empty());
    cache.remember(message(), {"k@example.org"});
    cache.remember(message(), {"k@example.org", "j@example.org"});
    EXPECT_EQ(cache.find(message()), (ResultCache::Targets{"k@example.org", "j@example.org"}));
    for (const auto change : {+[](MessageIdentity& one) { one.client = *IpAddress::parse("::1"); },
                              +[](MessageIdentity& one) { one.sender = "x@b.example"; },
                              +[](MessageIdentity& one) { one.recipients.pop_back(); },
                              +[](MessageIdentity& one) { one.message_id = "<2@b>"; },
                              +[](MessageIdentity& one) { one.size = 101; },
                              +[](MessageIdentity& one) { one.checksum = 1; }}) {
        MessageIdentity other = message();
        change(other);
        EXPECT_TRUE(cache.find(other).empty());
    }
}

TEST(ResultCache, WithoutAMessageIdNothingIsTheSame) {
    ResultCache cache;
    MessageIdentity nameless = message();
    nameless.message_id.clear();
    cache.remember(nameless, {"k@example.org"});
    cache.remember(message(), {});
    cache.remember(message(), {"k@example.org"});
    EXPECT_TRUE(cache.find(nameless).empty());
}

}  // namespace
}  // namespace muster::mx
