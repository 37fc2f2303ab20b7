#include "queue/schedule.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <random>

#include "queue/schedule_index.h"

namespace muster::queue {
namespace {

/// Messages passed over in one call of due() because all their destinations rest.
constexpr std::size_t kMostPassedOver = 2000;
/// Messages changed or looked at before the lock is given to others.
constexpr std::size_t kSlice = 500;

}  // namespace

bool counts_as_try(std::span<const GroupResult> groups) {
    if (groups.empty()) return true;
    for (const GroupResult& group : groups) {
        if (group.kind == GroupResult::Kind::Deferred ||
            group.kind == GroupResult::Kind::Unreachable) {
            return true;
        }
    }
    return false;
}

namespace {

/// Who hears of what is due earlier. Set to nobody, it returns when no call is under way.
class Wake {
public:
    void set(std::function<void()> listener) {
        const std::scoped_lock lock(mutex_);
        listener_ = std::move(listener);
    }
    void call() {
        const std::scoped_lock lock(mutex_);
        if (listener_) listener_();
    }

private:
    std::mutex mutex_;
    std::function<void()> listener_;
};

/// The next try of a message: of its groups that were tried, the one that wants it first.
Time soonest_try(const RetrySettings& settings, std::span<const GroupResult> groups, Time now,
                 std::uint32_t tries, double random) {
    std::optional<Time> soonest;
    for (const GroupResult& group : groups) {
        const std::array one{group};
        if (!counts_as_try(one)) continue;
        const Time next = next_try(group.retry ? *group.retry : settings, now, tries, random);
        soonest = std::min(next, soonest.value_or(next));
    }
    return soonest ? *soonest : next_try(settings, now, tries, random);
}

}  // namespace

struct Schedule::State {
    explicit State(const RetrySettings& settings) : index(settings) {}

    std::mutex mutex;
    ScheduleIndex index;
    std::minstd_rand random{std::random_device{}()};
    Wake wake;
    /// What callers of next_due() know; empty: that nothing is due at all.
    std::optional<Time> told;

    double chance() { return std::uniform_real_distribution<double>(0.0, 1.0)(random); }

    /// Whether somebody should hear of it, after the lock is gone.
    bool earlier() {
        const auto next = index.next_due();
        if (!next || (told && *told <= *next)) return false;
        told = next;
        return true;
    }

    /// Runs `change` on the index under the lock, then wakes whoever should know.
    template <typename Change>
    auto with(Change change) {
        std::unique_lock lock(mutex);
        auto result = change(index);
        const bool call = earlier();
        lock.unlock();
        if (call) wake.call();
        return result;
    }

    /// `visit` for every message in the order of ids, giving way to others in between.
    template <typename Visit>
    std::size_t for_all(Visit visit) {
        std::size_t changed = 0;
        std::optional<PackedId> at;
        for (;;) {
            bool more = false;
            changed += with([&](ScheduleIndex& messages) {
                std::size_t count = 0;
                auto next = at ? messages.messages().upper_bound(*at) : messages.messages().begin();
                for (std::size_t i = 0; i < kSlice && next != messages.messages().end(); ++i) {
                    IndexedMessage& message = next->second;
                    at = next->first;
                    ++next;
                    count += visit(message) ? 1 : 0;
                }
                more = next != messages.messages().end();
                return count;
            });
            if (!more) return changed;
        }
    }

    bool flush(IndexedMessage& message, Time now) {
        if (message.state == MessageState::Held) return false;
        message.flush = message.state == MessageState::Taken;
        if (!message.flush) index.wait_until(message, now);
        return true;
    }

    /// Where a message waits after such a try; nullptr: for its own time.
    static Destination* parking_place(std::span<const GroupResult> groups,
                                      const std::vector<Destination*>& destinations, Time now) {
        Destination* place = nullptr;
        for (std::size_t i = 0; i < groups.size(); ++i) {
            const bool busy = groups[i].kind == GroupResult::Kind::Busy;
            // One that rests no more was reached meanwhile.
            const bool rests = destinations[i]->until > now;
            if (groups[i].kind == GroupResult::Kind::Deferred || (!busy && !rests)) return nullptr;
            if (place == nullptr || destinations[i]->until < place->until) place = destinations[i];
        }
        return place;
    }

    void forget_failures(Destination& destination) {
        destination.failures = 0;
        destination.until = Time{};
        destination.reason.clear();
        index.drain(destination);
        index.tidy(destination);
    }
};

Schedule::Schedule(RetrySettings settings)
    : settings_(std::move(settings)), state_(std::make_unique<State>(settings_)) {}

Schedule::~Schedule() = default;

std::vector<QueueId> Schedule::due(Time now, std::size_t limit) {
    std::vector<QueueId> ids;
    const std::scoped_lock lock(state_->mutex);
    ScheduleIndex& index = state_->index;
    index.unpark_due(now, limit);
    std::size_t passed_over = 0;
    while (ids.size() < limit && passed_over < kMostPassedOver && !index.heap().empty() &&
           index.heap().top()->when <= now) {
        IndexedMessage& message = *index.heap().top();
        const bool notice = !message.delay_given && !message.delay_notice && message.notice <= now;
        Destination* const resting = index.resting(message, now);
        if (resting != nullptr && !notice && !expired(message.expires, now)) {
            index.park(message, *resting, now);
            ++passed_over;
            continue;
        }
        if (notice) message.delay_given = true;
        index.take(message);
        ids.push_back(message.id->id());
    }
    state_->told = index.next_due();
    return ids;
}

std::optional<Time> Schedule::next_due() {
    const std::scoped_lock lock(state_->mutex);
    state_->told = state_->index.next_due();
    return state_->told;
}

void Schedule::on_earlier(std::function<void()> wake) {
    state_->wake.set(std::move(wake));
    state_->with([&](ScheduleIndex&) {
        state_->told.reset();
        return 0;
    });
}

void Schedule::settle(const QueueId& id, std::span<const GroupResult> groups, Time now) {
    state_->with([&](ScheduleIndex& index) {
        IndexedMessage* const message = index.find(id);
        if (message == nullptr || message->state != MessageState::Taken) return 0;
        const bool counted = counts_as_try(groups);
        std::vector<Destination*> destinations;
        for (const GroupResult& group : groups) {
            destinations.push_back(&index.destination(group.destination));
        }
        Destination* const wait_for = state_->parking_place(groups, destinations, now);
        index.set_destinations(*message, std::move(destinations));
        Time next = now;
        if (counted) next = soonest_try(settings_, groups, now, ++message->tries, state_->chance());
        const bool flush = std::exchange(message->flush, false);
        if (flush || wait_for == nullptr) {
            index.wait_until(*message, flush ? now : next);
        } else {
            index.park(*message, *wait_for, now);
        }
        return 0;
    });
}

void Schedule::set_deadlines(const QueueId& id, Time expires, Time notice) {
    const std::scoped_lock lock(state_->mutex);
    IndexedMessage* const message = state_->index.find(id);
    if (message == nullptr || message->state != MessageState::Taken) return;
    // What it was given for has been seen to; another time is another matter.
    if (message->notice != notice) message->delay_given = false;
    message->expires = expires;
    message->notice = notice;
}

void Schedule::put_back(const QueueId& id, Time when) {
    state_->with([&](ScheduleIndex& index) {
        IndexedMessage* const message = index.find(id);
        if (message == nullptr || message->state != MessageState::Taken) return 0;
        index.wait_until(*message, std::exchange(message->flush, false) ? Time{} : when, true);
        return 0;
    });
}

void Schedule::delay_notice_sent(const QueueId& id) {
    const std::scoped_lock lock(state_->mutex);
    if (IndexedMessage* const message = state_->index.find(id)) message->delay_notice = true;
}

std::optional<Time> Schedule::held_until(std::string_view destination, Time now) {
    const std::scoped_lock lock(state_->mutex);
    const Destination* const found = state_->index.find_destination(destination);
    if (found == nullptr || found->until <= now) return {};
    return found->until;
}

void Schedule::reached(std::string_view destination, Time) {
    state_->with([&](ScheduleIndex& index) {
        if (Destination* const found = index.find_destination(destination)) {
            if (found->failures > 0) state_->forget_failures(*found);
        }
        return 0;
    });
}

void Schedule::unreachable(std::string_view destination, std::string_view reason, Time now,
                           const RetrySettings* retry) {
    const RetrySettings& settings = retry != nullptr ? *retry : settings_;
    state_->with([&](ScheduleIndex& index) {
        Destination& found = index.destination(destination);
        if (found.until > now) return 0;
        ++found.failures;
        found.until = destination_until(settings, now, found.failures, state_->chance());
        found.reason = reason;
        index.forget_unused(now);
        if (found.parked > 0) index.set_probe(found, found.until);
        return 0;
    });
}

void Schedule::rest(std::string_view destination, std::string_view reason, Time until) {
    state_->with([&](ScheduleIndex& index) {
        Destination& found = index.destination(destination);
        if (found.until >= until) return 0;
        found.until = until;
        found.reason = reason;
        if (found.parked > 0) index.set_probe(found, until);
        return 0;
    });
}

std::size_t Schedule::release_parked(std::string_view destination, std::size_t count, Time now) {
    return state_->with([&](ScheduleIndex& index) {
        Destination* const found = index.find_destination(destination);
        if (found == nullptr || found->until > now) return std::size_t{0};
        return index.unpark(*found, count, now);
    });
}

std::vector<DestinationState> Schedule::destinations(std::size_t limit) {
    std::vector<DestinationState> states;
    const std::scoped_lock lock(state_->mutex);
    for (const auto& [name, each] : state_->index.destinations()) {
        if (states.size() >= limit) break;
        states.push_back({name, each.parked, each.failures, each.until, each.reason});
    }
    return states;
}

std::string Schedule::reason(std::string_view destination) {
    const std::scoped_lock lock(state_->mutex);
    const Destination* const found = state_->index.find_destination(destination);
    return found == nullptr ? std::string() : found->reason;
}

bool Schedule::flush(const QueueId& id, Time now) {
    return state_->with([&](ScheduleIndex& index) {
        IndexedMessage* const message = index.find(id);
        return message != nullptr && state_->flush(*message, now);
    });
}

std::size_t Schedule::flush_destination(std::string_view destination, Time now) {
    state_->with([&](ScheduleIndex& index) {
        Destination* const found = index.find_destination(destination);
        if (found == nullptr) return 0;
        ++found->users;  // forgetting its failures must not forget it
        state_->forget_failures(*found);
        --found->users;
        return 0;
    });
    return state_->for_all([&](IndexedMessage& message) {
        // Loaded from disk and not tried since: it may well be for there.
        if (message.destinations.empty() && message.tries > 0) return state_->flush(message, now);
        for (const Destination* each : message.destinations) {
            if (each->name == destination) return state_->flush(message, now);
        }
        return false;
    });
}

std::size_t Schedule::flush_domain(std::string_view domain, Time now) {
    return state_->for_all([&](IndexedMessage& message) {
        bool found = false;
        for_each_text(message, [&](std::uint32_t place, std::string_view text) {
            found = place > 0 && matches_text(domain, domain_of(text));
            return !found;
        });
        return found && state_->flush(message, now);
    });
}

std::size_t Schedule::flush_all(Time now) {
    return state_->for_all([&](IndexedMessage& message) {
        for (Destination* each : message.destinations) {
            each->failures = 0;
            each->until = Time{};
        }
        return state_->flush(message, now);
    });
}

Page Schedule::list(const Filter& filter, const QueueId& cursor, std::size_t limit,
                    std::size_t most_looked_at) {
    Page page;
    std::optional<PackedId> at;
    if (!cursor.empty()) at = PackedId(cursor.view());
    for (;;) {
        const std::scoped_lock lock(state_->mutex);
        auto& messages = state_->index.messages();
        auto next = at ? messages.upper_bound(*at) : messages.begin();
        for (std::size_t i = 0; i < kSlice; ++i, ++next) {
            if (next == messages.end()) return page;
            if (page.messages.size() >= limit || page.looked_at >= most_looked_at) {
                if (at) page.next = at->id();
                return page;
            }
            ++page.looked_at;
            at = next->first;
            if (matches(filter, next->second)) page.messages.push_back(summary_of(next->second));
        }
    }
}

std::optional<Summary> Schedule::find(const QueueId& id) {
    const std::scoped_lock lock(state_->mutex);
    const IndexedMessage* const message = state_->index.find(id);
    if (message == nullptr) return {};
    return summary_of(*message);
}

bool Schedule::contains(const QueueId& id) {
    const std::scoped_lock lock(state_->mutex);
    return state_->index.find(id) != nullptr;
}

Schedule::Counts Schedule::counts() {
    const std::scoped_lock lock(state_->mutex);
    ScheduleIndex& index = state_->index;
    return {.messages = index.messages().size(),
            .bytes = index.bytes(),
            .waiting = index.count(MessageState::Waiting),
            .parked = index.count(MessageState::Parked),
            .taken = index.count(MessageState::Taken),
            .held = index.count(MessageState::Held)};
}

bool Schedule::add(const Summary& summary) {
    return state_->with([&](ScheduleIndex& index) { return index.add(summary); });
}

bool Schedule::erase(const QueueId& id) {
    const std::scoped_lock lock(state_->mutex);
    IndexedMessage* const message = state_->index.find(id);
    if (message == nullptr) return false;
    state_->index.erase(*message);
    return true;
}

void Schedule::recipients_done(const QueueId& id, std::uint32_t closed) {
    const std::scoped_lock lock(state_->mutex);
    if (IndexedMessage* const message = state_->index.find(id)) {
        message->open -= std::min(message->open, closed);
    }
}

bool Schedule::set_held(const QueueId& id, bool held, Time now) {
    return state_->with([&](ScheduleIndex& index) {
        IndexedMessage* const message = index.find(id);
        if (message == nullptr || message->state == MessageState::Taken) return false;
        if (held) {
            index.hold(*message);
        } else if (message->state == MessageState::Held) {
            index.wait_until(*message, now);
        }
        return true;
    });
}

}  // namespace muster::queue
