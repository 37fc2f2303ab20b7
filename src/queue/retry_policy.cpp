#include "queue/retry_policy.h"

#include <algorithm>

namespace muster::queue {
namespace {

milliseconds jittered(milliseconds delay, double share, double random) {
    const double factor = 1.0 + share * (2.0 * random - 1.0);
    return milliseconds(static_cast<std::int64_t>(static_cast<double>(delay.count()) * factor));
}

}  // namespace

std::vector<milliseconds> retry_delays(milliseconds first, milliseconds longest) {
    std::vector<milliseconds> delays = {std::min(first, longest)};
    for (const milliseconds usual : RetrySettings{}.delays) {
        if (usual > first && usual < longest) delays.push_back(usual);
    }
    if (longest > first) delays.push_back(longest);
    return delays;
}

Time next_try(const RetrySettings& settings, Time last, std::uint32_t tries, double random) {
    if (settings.delays.empty()) return last;
    const std::size_t step =
        std::min<std::size_t>(tries == 0 ? 0 : tries - 1, settings.delays.size() - 1);
    return last + jittered(settings.delays[step], settings.jitter, random);
}

Time destination_until(const RetrySettings& settings, Time now, std::uint32_t failures,
                       double random) {
    milliseconds delay = settings.destination_first;
    for (std::uint32_t i = 1; i < failures && delay < settings.destination_most; ++i) delay *= 2;
    return now + jittered(std::min(delay, settings.destination_most), settings.jitter, random);
}

bool expired(Time expires, Time now) { return expires <= now; }

Time notice_time(const RetrySettings& settings, Time arrived) {
    if (settings.delay_notice_after <= milliseconds(0)) return Time::max();
    return arrived + settings.delay_notice_after;
}

}  // namespace muster::queue
