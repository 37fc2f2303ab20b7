#include "delivery/pace.h"

#include <chrono>

namespace muster::delivery {
namespace {

/// Beyond so many those that may go anyway are forgotten.
constexpr std::size_t kMany = 10'000;

}  // namespace

std::optional<queue::Time> Pace::take(const std::string& destination, std::uint32_t a_minute,
                                      queue::Time now) {
    using std::chrono::microseconds;
    // What is made up for counts in the minute, too.
    constexpr microseconds kMinute = std::chrono::minutes(1) + kArrears;
    const auto between = (kMinute + microseconds(a_minute - 1)) / a_minute;
    if (next_.size() >= kMany) {
        std::erase_if(next_, [now](const auto& each) { return each.second + kArrears <= now; });
    }
    Exact& next = next_[destination];
    // A clock that was set back must not stop the mail.
    if (next > now && next <= now + between) {
        return std::chrono::ceil<queue::Time::duration>(next);
    }
    const bool is_late = next <= now && next > now - kArrears;
    next = (is_late ? next : Exact(now)) + between;
    return std::nullopt;
}

}  // namespace muster::delivery
