#pragma once
// Which recipients were refused, told so that the log stays readable under a dictionary attack.

#include <cstdint>
#include <string>

#include "base/endpoint.h"
#include "base/ids.h"
#include "net/timer.h"
#include "wire/smtp.h"

namespace muster::mx {

/// The recipients that one session was refused. Pure.
class Refusals {
public:
    /// The first one is remembered, bounded; the others are counted.
    void add(std::string recipient, const wire::smtp::Refusal& refusal);
    void slow_down() { slowed_ = true; }
    [[nodiscard]] std::uint64_t count() const { return count_; }

private:
    friend class RefusalLog;
    std::uint64_t count_ = 0;
    std::string first_;
    std::string answer_;
    bool slowed_ = false;
};

/// One worker's. A line a session, as long as there are few; of more only how many there were.
class RefusalLog {
public:
    /// At the session's end; nothing for one that was refused nothing.
    void tell(const Refusals& refusals, const SessionId& session, const Endpoint& client,
              const std::string& helo, net::Clock::time_point now = net::Clock::now());
    /// Says how many were left out since the last time; call every second.
    void sum_up();

private:
    bool may_tell(net::Clock::time_point now);

    double lines_ = kBurst;  ///< that may be written now
    net::Clock::time_point filled_{};
    std::uint64_t sessions_ = 0;  ///< left out
    std::uint64_t recipients_ = 0;

    static constexpr double kBurst = 50;
    static constexpr double kLinesASecond = 2;
};

}  // namespace muster::mx
