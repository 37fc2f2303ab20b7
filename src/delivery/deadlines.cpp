#include "delivery/deadlines.h"

#include <algorithm>
#include <cstdint>

namespace muster::delivery {

Deadlines deadlines_of(const queue::QueuedMessage& message, const QueuePlan& plan,
                       const queue::RetrySettings& usual) {
    const queue::Envelope& envelope = message.envelope;
    const std::size_t count = message.states.size();
    Deadlines found{.expires = std::vector<queue::Time>(count),
                    .notices = std::vector<queue::Time>(count)};
    const auto take = [&found](std::uint32_t one, queue::Time expires, queue::Time notice) {
        found.expires[one] = std::max(found.expires[one], expires);
        found.notices[one] = std::max(found.notices[one], notice);
    };
    for (const RecipientGroup& group : plan.groups) {
        const DomainTerms& terms = group.terms;
        const queue::Time expires =
            terms.own_expiry ? envelope.arrived + terms.retry->expire_after : envelope.expires;
        const queue::Time notice =
            notice_time(terms.retry ? *terms.retry : usual, envelope.arrived);
        for (const std::uint32_t recipient : group.recipients) take(recipient, expires, notice);
    }
    for (const auto& [recipient, result] : plan.findings) {
        take(recipient, envelope.expires, notice_time(usual, envelope.arrived));
    }
    return found;
}

}  // namespace muster::delivery
