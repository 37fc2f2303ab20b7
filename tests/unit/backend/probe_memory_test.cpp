#include "backend/probe_memory.h"

#include <gtest/gtest.h>

namespace muster::backend {
namespace {

using std::chrono::seconds;

const ProbeMemory::Clock::time_point kNow{seconds(1000)};

TEST(ProbeMemory, KeepsTheNewestOfAName) {
    ProbeMemory memory;
    memory.saw("muster-check-a@d", {"192.0.2.1", "s1"}, kNow);
    memory.saw("muster-check-a@d", {"192.0.2.2", "s2"}, kNow);
    EXPECT_EQ(memory.find("muster-check-a@d", kNow), (Probe{"192.0.2.2", "s2"}));
    EXPECT_EQ(memory.find("muster-check-b@d", kNow), std::nullopt);
}

TEST(ProbeMemory, KeepsNothingOfAccounts) {
    ProbeMemory memory;
    memory.saw("ada@d", {"192.0.2.1", "s1"}, kNow);
    EXPECT_EQ(memory.find("ada@d", kNow), std::nullopt);
}

TEST(ProbeMemory, IsBoundedInTimeAndNumber) {
    ProbeMemory memory;
    memory.saw("muster-check-0", {"192.0.2.1", "s"}, kNow);
    EXPECT_TRUE(memory.find("muster-check-0", kNow + seconds(60)));
    EXPECT_FALSE(memory.find("muster-check-0", kNow + seconds(61)));
    for (std::size_t i = 1; i <= ProbeMemory::kMost; ++i) {
        memory.saw("muster-check-" + std::to_string(i), {"192.0.2.1", "s"}, kNow);
    }
    EXPECT_FALSE(memory.find("muster-check-0", kNow));
    EXPECT_TRUE(memory.find("muster-check-1", kNow));
}

}  // namespace
}  // namespace muster::backend
