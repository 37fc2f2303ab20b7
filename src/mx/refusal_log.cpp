#include "mx/refusal_log.h"

#include <algorithm>

#include "base/log.h"

namespace muster::mx {

void Refusals::add(std::string recipient, const wire::smtp::Refusal& refusal) {
    if (count_++ != 0) return;
    first_ = std::move(recipient);
    answer_ = std::to_string(refusal.code);
    answer_.append(" ").append(refusal.enhanced).append(" ").append(refusal.text);
}

bool RefusalLog::may_tell(net::Clock::time_point now) {
    const std::chrono::duration<double> since = now - filled_;
    lines_ = std::min(kBurst, lines_ + since.count() * kLinesASecond);
    filled_ = now;
    if (lines_ < 1) return false;
    lines_ -= 1;
    return true;
}

void RefusalLog::tell(const Refusals& refusals, const SessionId& session, const Endpoint& client,
                      const std::string& helo, net::Clock::time_point now) {
    if (refusals.count_ == 0) return;
    if (!may_tell(now)) {
        ++sessions_;
        recipients_ += refusals.count_;
        return;
    }
    log::info("recipients-refused", {{"session", session},
                                     {"client", client.text()},
                                     {"helo", helo},
                                     {"count", refusals.count_},
                                     {"first", refusals.first_},
                                     {"answer", refusals.answer_},
                                     {"slowed_down", refusals.slowed_ ? "yes" : "no"}});
}

void RefusalLog::sum_up() {
    if (sessions_ == 0) return;
    log::info("recipients-refused-more", {{"sessions", sessions_}, {"recipients", recipients_}});
    sessions_ = 0;
    recipients_ = 0;
}

}  // namespace muster::mx
