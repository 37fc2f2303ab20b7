#include "delivery/try_results.h"

#include <utility>

#include "delivery/reports.h"

namespace muster::delivery {

using queue::Outcome;
using queue::RecipientResult;

void TryResults::answer(RecipientResult result) {
    Known& one = recipients_[result.recipient];
    if (one.silent > 0) --one.silent;
    const bool replaces = !one.result || (one.result->outcome != Outcome::Deferred &&
                                          result.outcome != Outcome::Delivered);
    if (replaces) one.result = std::move(result);
}

void TryResults::find(RecipientResult result) {
    recipients_[result.recipient].result = std::move(result);
}

bool TryResults::is_known(const Known& one) {
    return one.result && (one.silent == 0 || one.result->outcome == Outcome::Deferred);
}

std::vector<RecipientResult> TryResults::known() const {
    std::vector<RecipientResult> found;
    for (const auto& [recipient, one] : recipients_) {
        if (is_known(one)) found.push_back(*one.result);
    }
    return found;
}

std::vector<RecipientResult> TryResults::take() {
    std::vector<RecipientResult> taken;
    for (auto& [recipient, one] : recipients_) {
        if (is_known(one) && !std::exchange(one.taken, true)) taken.push_back(*one.result);
    }
    return taken;
}

std::vector<RecipientResult> TryResults::take_untold(const queue::Envelope& envelope) {
    std::vector<RecipientResult> taken;
    for (auto& [recipient, one] : recipients_) {
        if (one.taken || one.silent > 0 || !one.result) continue;
        const bool is_told = one.result->outcome != Outcome::Deferred &&
                             is_wanted(envelope.recipients[recipient], one.result->outcome);
        if (is_told) continue;
        one.taken = true;
        taken.push_back(*one.result);
    }
    return taken;
}

}  // namespace muster::delivery
