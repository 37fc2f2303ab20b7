#include "frontend/warm_connections.h"

#include <gtest/gtest.h>

namespace muster::frontend {
namespace {

TEST(WarmConnections, WorkersShareOutWhatTheProcessMayKeep) {
    for (const std::size_t workers : {1U, 2U, 3U, 16U}) {
        for (const std::size_t whole : {0U, 1U, 4U, 1000U}) {
            std::size_t sum = 0;
            for (std::size_t number = 0; number < workers; ++number) {
                const std::size_t share = share_of(whole, workers, number);
                EXPECT_LE(share, whole / workers + 1);
                EXPECT_GE(share, whole / workers);
                sum += share;
            }
            EXPECT_EQ(sum, whole) << workers;
        }
    }
}

}  // namespace
}  // namespace muster::frontend
