#pragma once
// Which queued messages are to be tried when: an index in memory.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "queue/envelope.h"
#include "queue/listing.h"
#include "queue/retry_policy.h"

namespace muster::queue {

/// What a try came to for one group of recipients. A message's groups without mention are done.
struct GroupResult {
    std::string destination{};  ///< the caller's text, e.g. "server:lmtp1" or "mx:example.net"
    enum class Kind : std::uint8_t {
        Deferred,     ///< answered 4xx: the message's own back-off
        Unreachable,  ///< no connection: the destination's back-off, too
        Held,         ///< not tried: held_until() said so
        Busy,         ///< not tried: it has as many as it may have; release_parked() tells of room
    };
    Kind kind = Kind::Deferred;
    /// The destination's own times; null: the schedule's.
    std::shared_ptr<const RetrySettings> retry{};
};

/// Whether the message's own back-off grows.
[[nodiscard]] bool counts_as_try(std::span<const GroupResult> groups);

struct DestinationState {
    std::string destination{};
    std::uint64_t parked = 0;    ///< messages that wait for it
    std::uint32_t failures = 0;  ///< in a row; 0: reachable as far as known
    Time until{};                ///< left alone until then
    std::string reason{};
};

/// Thread-safe; nothing in it blocks for longer than a few hundred messages take. Of a message that
/// is due one caller becomes the *taker*: until it calls settle() or erase(), due() gives it to
/// nobody.
///
///     for (const QueueId& id : schedule.due(now(), 100)) → spawn a try:
///         read it; group the open recipients by destination; for each group
///             held_until(destination)  → in the future: GroupResult Held
///             deliver; record; on a connection: reached(destination)
///         all recipients done → Spool::remove, else settle(id, group results)
///
/// Messages whose groups all wait for destinations are *parked* there and cost nothing until the
/// destination's time has come: then a few are given as a probe; reached() frees the others.
class Schedule {
public:
    explicit Schedule(RetrySettings settings);
    Schedule(const Schedule&) = delete;
    Schedule& operator=(const Schedule&) = delete;
    ~Schedule();

    // Tries.
    /// Up to `limit` messages whose time has come, oldest time first; they are taken now. Also
    /// those that have expired: the taker fails their open recipients.
    std::vector<QueueId> due(Time now, std::size_t limit);
    /// When due() will have something; empty: not before something changes.
    [[nodiscard]] std::optional<Time> next_due();
    /// Called from any thread, without a lock held, when something became due earlier than due() or
    /// next_due() had said, and at once when something is known already. Must not block, nor call
    /// the schedule: post to a loop. No call is under way any more when on_earlier() returns.
    void on_earlier(std::function<void()> wake);
    /// The taker gives the message back. Groups that were deferred or unreachable count as one more
    /// try of the message; when all were Held or Busy none is counted. It is parked unless a group
    /// was Deferred. No groups: it is due again after the back-off.
    void settle(const QueueId& id, std::span<const GroupResult> groups, Time now);
    /// When the message is to be looked at for its age: given up, or its sender told of the delay
    /// (Time::max(): never). Holds until it is loaded anew; the taker says it before settle().
    void set_deadlines(const QueueId& id, Time expires, Time notice);
    /// The taker cannot serve it now for a reason of its own (draining, too many at once): due
    /// again at `when`.
    void put_back(const QueueId& id, Time when);
    /// The sender was told of a delay (Spool::record_delay_notice calls it).
    void delay_notice_sent(const QueueId& id);

    // Destinations.
    /// A time after `now` while the destination is left alone.
    [[nodiscard]] std::optional<Time> held_until(std::string_view destination, Time now);
    /// A connection was made: the destination's messages may go, at once.
    void reached(std::string_view destination, Time now);
    /// A connection failed: back-off. Several failures within one back-off count once.
    /// `retry` as GroupResult::retry.
    void unreachable(std::string_view destination, std::string_view reason, Time now,
                     const RetrySettings* retry = nullptr);
    /// The destination is left alone until then, though it can be reached: it may have no more now.
    void rest(std::string_view destination, std::string_view reason, Time until);
    /// Up to `count` of the messages that were Busy there are due now: it has room again. Returns
    /// how many.
    std::size_t release_parked(std::string_view destination, std::size_t count, Time now);
    [[nodiscard]] std::vector<DestinationState> destinations(std::size_t limit);
    /// Why the destination is left alone; empty: it is not, as far as known.
    [[nodiscard]] std::string reason(std::string_view destination);

    // Operators: due now. Counts are of messages changed. A taken one is due right after its try;
    // held ones are left alone.
    bool flush(const QueueId& id, Time now);
    /// Forgets the destination's back-off. Tried messages whose destinations are not known (since a
    /// start or an adoption) are due, too.
    std::size_t flush_destination(std::string_view destination, Time now);
    std::size_t flush_domain(std::string_view domain, Time now);
    std::size_t flush_all(Time now);

    // Listing.
    /// Examines at most `most_looked_at` messages after `cursor` (empty: from the oldest).
    [[nodiscard]] Page list(const Filter& filter, const QueueId& cursor, std::size_t limit,
                            std::size_t most_looked_at = 20'000);
    [[nodiscard]] std::optional<Summary> find(const QueueId& id);
    [[nodiscard]] bool contains(const QueueId& id);

    struct Counts {
        std::uint64_t messages = 0;
        std::uint64_t bytes = 0;
        std::uint64_t waiting = 0, parked = 0, taken = 0, held = 0;
    };
    [[nodiscard]] Counts counts();

    // For the spool.
    /// False when the id is known already.
    bool add(const Summary& summary);
    bool erase(const QueueId& id);
    /// `closed` recipients got a final result.
    void recipients_done(const QueueId& id, std::uint32_t closed);
    /// False when it is not there, or taken.
    bool set_held(const QueueId& id, bool held, Time now);

    [[nodiscard]] const RetrySettings& settings() const { return settings_; }

private:
    struct State;

    const RetrySettings settings_;
    std::unique_ptr<State> state_;
};

}  // namespace muster::queue
