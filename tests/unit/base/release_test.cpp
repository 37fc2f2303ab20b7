// What is released is free.

#include "base/release.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

TEST(Release, LeavesNoBuffer) {
    std::string text(100'000, 'x');
    release(text);
    EXPECT_TRUE(text.empty());
    EXPECT_LT(text.capacity(), 100u);
}

}  // namespace
}  // namespace muster
