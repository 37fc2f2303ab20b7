#include "mx/recipient_guard.h"

#include "base/client_network.h"

namespace muster::mx {
namespace {

constexpr net::Duration kWindow{300'000};

}  // namespace

RecipientGuard::Stripe& RecipientGuard::stripe(const IpAddress& client) {
    return stripes_[std::hash<IpAddress>{}(client) % kStripes];
}

bool RecipientGuard::note_unknown(const IpAddress& client, std::uint32_t count) {
    const IpAddress network = client_network(client);
    const auto now = net::Clock::now();
    Stripe& stripe = this->stripe(network);
    const std::lock_guard lock(stripe.mutex);
    if (stripe.records.size() >= kMaxRecordsPerStripe) {
        std::erase_if(stripe.records,
                      [&](const auto& item) { return item.second.window_ends < now; });
        // A flood from everywhere: forgetting is kinder than growing.
        if (stripe.records.size() >= kMaxRecordsPerStripe) stripe.records.clear();
    }
    Record& record = stripe.records[network];
    if (record.window_ends < now) record = {0, now + kWindow};
    record.unknown += count;
    return record.unknown > unknown_;
}

}  // namespace muster::mx
