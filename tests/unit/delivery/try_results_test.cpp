#include "delivery/try_results.h"

#include <gtest/gtest.h>

namespace muster::delivery {
namespace {

using queue::Outcome;

queue::RecipientResult result(std::uint32_t recipient, Outcome outcome) {
    return {.recipient = recipient, .outcome = outcome, .status = "x"};
}

std::vector<Outcome> outcomes(const std::vector<queue::RecipientResult>& results) {
    std::vector<Outcome> found;
    for (const auto& one : results) found.push_back(one.outcome);
    return found;
}

TEST(TryResults, TheLeastFinalAnswerCounts) {
    struct Row {
        std::vector<Outcome> answers;
        Outcome expected;
    };
    for (const auto& [answers, expected] :
         {Row{{Outcome::Delivered}, Outcome::Delivered},
          Row{{Outcome::Delivered, Outcome::Failed}, Outcome::Failed},
          Row{{Outcome::Failed, Outcome::Delivered}, Outcome::Failed},
          Row{{Outcome::Deferred, Outcome::Failed}, Outcome::Deferred},
          Row{{Outcome::Failed, Outcome::Deferred, Outcome::Delivered}, Outcome::Deferred}}) {
        TryResults results;
        for (std::size_t i = 0; i < answers.size(); ++i) results.expect(7);
        for (const Outcome outcome : answers) results.answer(result(7, outcome));
        EXPECT_EQ(outcomes(results.known()), std::vector{expected});
    }
}

TEST(TryResults, WhoStandsForSeveralIsDoneWhenAllHaveAnswered) {
    TryResults results;
    results.expect(0);
    results.expect(0);
    results.answer(result(0, Outcome::Delivered));
    EXPECT_TRUE(results.known().empty());
    results.answer(result(0, Outcome::Delivered));
    EXPECT_EQ(results.known().size(), 1U);
}

TEST(TryResults, EachIsTakenOnce) {
    TryResults results;
    for (std::uint32_t i = 0; i < 3; ++i) results.expect(i);
    results.answer(result(0, Outcome::Delivered));
    results.find(result(9, Outcome::Deferred));
    EXPECT_EQ(results.take().size(), 2U);
    results.answer(result(1, Outcome::Delivered));
    EXPECT_EQ(results.take().size(), 1U);
    EXPECT_TRUE(results.take().empty());
    EXPECT_EQ(results.known().size(), 3U);
}

TEST(TryResults, WhatTheSenderHasToHearFirstIsLeft) {
    queue::Envelope envelope;
    envelope.recipients = {{.address = "failed@x"},
                           {.address = "delivered@x"},
                           {.address = "wants@x", .notify = queue::notify::kSuccess},
                           {.address = "never@x", .notify = queue::notify::kNever}};
    TryResults results;
    for (std::uint32_t i = 0; i < 4; ++i) {
        results.expect(i);
        results.answer(result(i, i % 3 == 0 ? Outcome::Failed : Outcome::Delivered));
    }
    const auto taken = results.take_untold(envelope);
    ASSERT_EQ(taken.size(), 2U);
    EXPECT_EQ(taken[0].recipient, 1U);
    EXPECT_EQ(taken[1].recipient, 3U);
    EXPECT_EQ(results.take().size(), 2U);
}

}  // namespace
}  // namespace muster::delivery
