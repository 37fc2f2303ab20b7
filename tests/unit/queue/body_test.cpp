// A text is the same in memory and in a file, for all who read it, and leaves nothing behind.

#include "queue/body.h"

#include <gtest/gtest.h>

#include "queue/checksum.h"
#include "unit/queue/folder.h"

namespace muster::queue {
namespace {

std::string all_of(BodyReader& reader) {
    std::string text;
    for (;;) {
        const auto chunk = reader.next();
        EXPECT_TRUE(chunk);
        if (!chunk || chunk->empty()) return text;
        text += *chunk;
    }
}

std::string long_text(std::size_t size) {
    std::string text;
    while (text.size() < size) text += "line " + std::to_string(text.size()) + "\r\n";
    text.resize(size);
    return text;
}

TEST(Body, IsTheSameInMemoryAndInAFile) {
    const TestFolder folder;
    for (const std::size_t size : {0u, 1u, 99u, 100u, 101u, 5000u, 65536u, 300'000u}) {
        for (const bool spool : {true, false}) {
            const std::string text = long_text(size);
            Body body(100, spool ? folder.path() : std::string());
            for (std::size_t at = 0; at < size; at += 1000) {
                ASSERT_TRUE(body.append(std::string_view(text).substr(at, 1000)));
            }
            EXPECT_EQ(body.size(), size);
            EXPECT_EQ(body.spilled(), size > 100);
            const auto content = body.finish();
            ASSERT_TRUE(content);
            EXPECT_EQ((*content)->size(), size);
            EXPECT_EQ((*content)->checksum(), crc32c(0, text));
            EXPECT_EQ((*content)->in_memory(), size <= 100);
            BodyReader first(*content);
            BodyReader second(*content);
            EXPECT_EQ(first.next()->substr(0, 10), second.next()->substr(0, 10));
            second.rewind();
            EXPECT_EQ(all_of(second), text);
            EXPECT_EQ(body.size(), 0u);
        }
    }
    EXPECT_EQ(files_below(folder.path()), 0u);
}

TEST(Body, UnfinishedOrMovedItLeavesNothing) {
    const TestFolder folder;
    {
        Body body(10, folder.path());
        ASSERT_TRUE(body.append(long_text(100)));
        EXPECT_EQ(files_below(folder.path()), 1u);
        Body other(std::move(body));
        EXPECT_TRUE(other.spilled());
        EXPECT_FALSE(body.spilled());  // NOLINT: moved from, and empty
        body = std::move(other);
        EXPECT_EQ(body.size(), 100u);
    }
    EXPECT_EQ(files_below(folder.path()), 0u);
}

TEST(Body, AFullDiskIsAnError) {
    Body body(10, "/nonexistent/folder");
    EXPECT_FALSE(body.append(long_text(100)));
}

}  // namespace
}  // namespace muster::queue
