#include "delivery/pace.h"

#include <chrono>

namespace muster::delivery {
namespace {

constexpr std::chrono::milliseconds kMinute = std::chrono::minutes(1);
/// Beyond so many those that may go anyway are forgotten.
constexpr std::size_t kMany = 10'000;

}  // namespace

std::optional<queue::Time> Pace::take(const std::string& destination, std::uint32_t a_minute,
                                      queue::Time now) {
    const auto between = (kMinute + std::chrono::milliseconds(a_minute - 1)) / a_minute;
    if (next_.size() >= kMany) {
        std::erase_if(next_, [now](const auto& each) { return each.second <= now; });
    }
    queue::Time& next = next_[destination];
    // A clock that was set back must not stop the mail.
    if (next > now && next <= now + between) return next;
    next = now + between;
    return std::nullopt;
}

}  // namespace muster::delivery
