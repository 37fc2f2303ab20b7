#include "mx/account_rate.h"

namespace muster::mx {
namespace {

constexpr net::Duration kHour{3'600'000};

}  // namespace

bool AccountRate::take(const std::string& account) {
    const auto now = net::Clock::now();
    Stripe& stripe = stripes_[std::hash<std::string>{}(account) % kStripes];
    const std::lock_guard lock(stripe.mutex);
    if (stripe.records.size() >= kSweepAt) {
        std::erase_if(stripe.records,
                      [&](const auto& item) { return item.second.window_ends <= now; });
    }
    Record& record = stripe.records[account];
    if (record.window_ends <= now) record = {0, now + kHour};
    if (record.recipients >= an_hour_) return false;
    ++record.recipients;
    return true;
}

}  // namespace muster::mx
