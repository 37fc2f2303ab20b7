#pragma once
// The Schedule's data: messages, their order, and the destinations some of them wait for. One
// thread at a time.

#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "queue/due_heap.h"
#include "queue/listing.h"
#include "queue/retry_policy.h"

namespace muster::queue {

struct Destination;

/// Kept small: there may be millions.
struct IndexedMessage {
    Time when{};  ///< its key in the heap
    Time next_try{};
    Time arrived{};
    Time expires{};
    Time notice{};  ///< when the sender is to hear of a delay; max: never
    std::uint64_t size = 0;
    std::unique_ptr<char[]> texts;  ///< sender and addresses, each ended by a NUL
    std::vector<Destination*> destinations;
    Destination* parked_at = nullptr;
    IndexedMessage* before = nullptr;  ///< in the destination's list
    IndexedMessage* behind = nullptr;
    const PackedId* id = nullptr;
    std::uint32_t place = DueHeap<IndexedMessage>::kOut;
    std::uint32_t tries = 0;
    std::uint32_t recipients = 0;
    std::uint32_t open = 0;
    MessageState state = MessageState::Waiting;
    Kind kind = Kind::Mail;
    bool delay_notice = false;  ///< was sent
    bool delay_given = false;   ///< was given for it once
    bool flush = false;         ///< while taken: due right after
};

struct Destination {
    std::string name;
    std::string reason;
    Time until{};
    Time probe{};  ///< when a parked message is given to see; kept in Index::probes
    std::uint32_t failures = 0;
    std::uint64_t parked = 0;
    std::uint64_t users = 0;  ///< messages that name it
    IndexedMessage* first = nullptr;
    IndexedMessage* last = nullptr;
    bool draining = false;  ///< all that are parked may go
};

/// What a pattern or a message says of texts.
template <typename Visit>
void for_each_text(const IndexedMessage& message, Visit visit) {
    const char* at = message.texts.get();
    for (std::uint32_t i = 0; i <= message.recipients; ++i) {
        const std::string_view text(at);
        if (!visit(i, text)) return;
        at += text.size() + 1;
    }
}
[[nodiscard]] bool matches(const Filter& filter, const IndexedMessage& message);
[[nodiscard]] Summary summary_of(const IndexedMessage& message);

class ScheduleIndex {
public:
    explicit ScheduleIndex(const RetrySettings& settings) : settings_(settings) {}

    using Messages = std::map<PackedId, IndexedMessage>;

    [[nodiscard]] IndexedMessage* find(const QueueId& id);
    bool add(const Summary& summary);
    void erase(IndexedMessage& message);

    /// Into the heap, Waiting for `time` or, unless `exactly`, for expiry or a delay notice if
    /// these are earlier.
    void wait_until(IndexedMessage& message, Time time, bool exactly = false);
    void take(IndexedMessage& message);
    void hold(IndexedMessage& message);
    void park(IndexedMessage& message, Destination& destination, Time now);
    /// The one of the message's destinations that ends its rest first, when all of them rest.
    [[nodiscard]] Destination* resting(const IndexedMessage& message, Time now) const;
    void set_destinations(IndexedMessage& message, std::vector<Destination*> destinations);

    Destination& destination(std::string_view name);
    [[nodiscard]] Destination* find_destination(std::string_view name);
    /// Forgets it when nobody needs it.
    void tidy(Destination& destination);
    /// Forgets unreachable destinations that no message names, now and then.
    void forget_unused(Time now);
    void set_probe(Destination& destination, Time when);
    /// Up to `count` of those that are parked there are due `now`; returns how many.
    std::size_t unpark(Destination& destination, std::size_t count, Time now);
    void drain(Destination& destination);
    /// Moves parked messages of draining and probed destinations into the heap: at most `limit`,
    /// and a probe.
    void unpark_due(Time now, std::size_t limit);
    [[nodiscard]] std::optional<Time> next_due() const;

    [[nodiscard]] Messages& messages() { return messages_; }
    [[nodiscard]] DueHeap<IndexedMessage>& heap() { return heap_; }
    [[nodiscard]] std::unordered_map<std::string, Destination>& destinations() {
        return destinations_;
    }
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
    [[nodiscard]] std::uint64_t count(MessageState state) const {
        return counts_[static_cast<std::size_t>(state)];
    }

private:
    void leave_list(IndexedMessage& message);
    void set_state(IndexedMessage& message, MessageState state);
    [[nodiscard]] Time key_for(const IndexedMessage& message, Time time) const;

    const RetrySettings& settings_;
    Messages messages_;
    DueHeap<IndexedMessage> heap_;
    std::unordered_map<std::string, Destination> destinations_;
    std::set<std::pair<Time, Destination*>> probes_;
    std::vector<Destination*> draining_;
    std::array<std::uint64_t, 4> counts_{};
    std::uint64_t bytes_ = 0;
    std::size_t forget_at_ = 1024;
};

}  // namespace muster::queue
