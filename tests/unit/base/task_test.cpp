#include "base/task.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace muster {
namespace {

Task<int> answer() { co_return 42; }
Task<int> doubled() { co_return 2 * co_await answer(); }
Task<void> store(int& into) { into = co_await doubled(); }
Task<void> throws() {
    throw std::runtime_error("x");
    co_return;
}
Task<void> catches(bool& caught) {
    try {
        co_await throws();
    } catch (const std::runtime_error&) {
        caught = true;
    }
}

TEST(Task, RunsWhenSpawnedAndReturnsValues) {
    TaskGroup group;
    int result = 0;
    group.spawn(store(result));
    EXPECT_EQ(result, 84);
    EXPECT_EQ(group.running(), 0U);
}

TEST(Task, PassesExceptionsToTheAwaiter) {
    TaskGroup group;
    bool caught = false;
    group.spawn(catches(caught));
    EXPECT_TRUE(caught);
}

}  // namespace
}  // namespace muster
