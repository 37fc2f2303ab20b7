#pragma once
// The queue of a node as operators see it: rows of listings, filters, counts, alarms, metrics.

#include <nlohmann/json.hpp>

#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "admin/alarms.h"
#include "queue/spool.h"

namespace muster::admin {

/// A row shows this many recipients and destinations; `recipient_count` says how many there are.
inline constexpr std::size_t kShownRecipients = 5;
/// What a message waits before it is an alarm. Held ones are not looked at.
inline constexpr std::chrono::hours kOldMessage{4};

/// "90", "90s", "15m", "4h", "2d"; Syntax for anything else, and past ten years.
Result<std::chrono::seconds> parse_age(std::string_view text);

/// `get` gives the text of a field: sender, recipient, domain, destination, server, state, older,
/// newer. `now` is what ages count from.
Result<queue::Filter> queue_filter(const std::function<std::string(const char*)>& get,
                                   queue::Time now);

/// Times are seconds since 1970.
nlohmann::json shown(const queue::Summary& message, const std::string& node);
/// With every recipient: where it stands and what was answered last. `summary` may be empty.
nlohmann::json shown(const queue::QueuedMessage& message,
                     const std::optional<queue::Summary>& summary, const std::string& node);
nlohmann::json shown(const queue::DestinationState& destination, const std::string& node);
nlohmann::json shown(const queue::AdoptReport& report);
/// Messages, bytes, the states, the oldest one's age in seconds, and how far the loading is.
nlohmann::json queue_counts(queue::Spool& spool);

/// When the first message that is not held arrived; empty when the first thousand all are.
std::optional<queue::Time> oldest_waiting(queue::Schedule& schedule);

/// What is known of a queue, for the decision below.
struct QueueState {
    Result<> accepts{};
    bool owned = true;
    std::optional<std::chrono::seconds> oldest{};
    queue::LoadProgress loading{};
};
QueueState queue_state(queue::Spool& spool);
/// Pure.
std::vector<Alarm> queue_alarms(const QueueState& state);

/// Sets the `muster_queue_…` metrics. Thread-safe; one a spool.
class QueueMeters {
public:
    void measure(queue::Spool& spool);

private:
    std::mutex mutex_;
    queue::Spool::Figures counted_;
};

}  // namespace muster::admin
