#include "queue/schedule_index.h"

#include <algorithm>

namespace muster::queue {
namespace {

/// How many parked messages are given to see whether their destination answers again.
constexpr std::size_t kProbe = 2;
/// A probe without an answer is repeated after this.
constexpr milliseconds kProbeAgain = std::chrono::minutes(2);
/// A parked message is looked at again this long after its destination's rest, or after it was
/// parked, whatever happens.
constexpr milliseconds kParkedAtMost = std::chrono::minutes(5);
/// A place may have become free just before a message was parked for want of room: so long after
/// that some are given to see, of all that wait there.
constexpr milliseconds kBusyAtMost = std::chrono::seconds(10);

std::unique_ptr<char[]> packed(const Summary& summary) {
    std::size_t length = summary.sender.size() + 1;
    for (const std::string& address : summary.addresses) length += address.size() + 1;
    auto texts = std::make_unique<char[]>(length);
    char* at = texts.get();
    const auto put = [&at](const std::string& text) {
        std::memcpy(at, text.c_str(), text.size() + 1);
        at += text.size() + 1;
    };
    put(summary.sender);
    for (const std::string& address : summary.addresses) put(address);
    return texts;
}

}  // namespace

bool matches(const Filter& filter, const IndexedMessage& message) {
    if (filter.state && *filter.state != message.state) return false;
    if (filter.arrived_before && message.arrived >= *filter.arrived_before) return false;
    if (filter.arrived_after && message.arrived <= *filter.arrived_after) return false;
    if (!filter.destination.empty() &&
        std::none_of(message.destinations.begin(), message.destinations.end(),
                     [&](const Destination* each) {
                         return matches_text(filter.destination, each->name);
                     })) {
        return false;
    }
    if (filter.sender.empty() && filter.recipient.empty() && filter.domain.empty()) return true;
    bool sender = filter.sender.empty();
    bool recipient = filter.recipient.empty();
    bool domain = filter.domain.empty();
    for_each_text(message, [&](std::uint32_t place, std::string_view text) {
        if (place == 0) {
            const bool null = filter.sender == "<>" && text.empty();
            return sender = sender || null || matches_text(filter.sender, text);
        }
        recipient = recipient || matches_text(filter.recipient, text);
        domain = domain || matches_text(filter.domain, domain_of(text));
        return !(recipient && domain);
    });
    return sender && recipient && domain;
}

Summary summary_of(const IndexedMessage& message) {
    Summary summary;
    summary.id = message.id->id();
    summary.arrived = message.arrived;
    summary.expires = message.expires;
    summary.next_try = message.next_try;
    summary.size = message.size;
    summary.tries = message.tries;
    summary.recipients = message.recipients;
    summary.open = message.open;
    summary.state = message.state;
    summary.delay_notice = message.delay_notice;
    summary.kind = message.kind;
    for_each_text(message, [&](std::uint32_t place, std::string_view text) {
        if (place == 0) {
            summary.sender = text;
        } else {
            summary.addresses.emplace_back(text);
        }
        return true;
    });
    for (const Destination* each : message.destinations) summary.destinations.push_back(each->name);
    if (message.parked_at != nullptr) summary.next_try = message.parked_at->until;
    return summary;
}

IndexedMessage* ScheduleIndex::find(const QueueId& id) {
    if (id.text.size() != kQueueIdLength) return nullptr;
    const auto found = messages_.find(PackedId(id.view()));
    return found == messages_.end() ? nullptr : &found->second;
}

bool ScheduleIndex::add(const Summary& summary) {
    // Most ids are newer than all others.
    const auto [at, added] = [&] {
        const PackedId key(summary.id.view());
        const std::size_t before = messages_.size();
        const auto place = messages_.try_emplace(messages_.end(), key);
        return std::pair(place, messages_.size() != before);
    }();
    if (!added) return false;
    IndexedMessage& message = at->second;
    message.id = &at->first;
    message.next_try = summary.next_try;
    message.arrived = summary.arrived;
    message.expires = summary.expires;
    message.notice = notice_time(settings_, summary.arrived);
    message.size = summary.size;
    message.tries = summary.tries;
    message.recipients = static_cast<std::uint32_t>(summary.addresses.size());
    message.open = summary.open;
    message.kind = summary.kind;
    message.delay_notice = summary.delay_notice;
    message.texts = packed(summary);
    message.state = summary.state;
    ++counts_[static_cast<std::size_t>(summary.state)];
    bytes_ += summary.size;
    if (summary.state == MessageState::Waiting) wait_until(message, summary.next_try);
    return true;
}

void ScheduleIndex::erase(IndexedMessage& message) {
    leave_list(message);
    heap_.take_out(message);
    set_destinations(message, {});
    --counts_[static_cast<std::size_t>(message.state)];
    bytes_ -= message.size;
    const PackedId key = *message.id;
    messages_.erase(key);
}

void ScheduleIndex::set_state(IndexedMessage& message, MessageState state) {
    --counts_[static_cast<std::size_t>(message.state)];
    message.state = state;
    ++counts_[static_cast<std::size_t>(state)];
}

Time ScheduleIndex::key_for(const IndexedMessage& message, Time time) const {
    time = std::min(time, message.expires);
    const bool notice = !message.delay_notice && !message.delay_given;
    return notice ? std::min(time, message.notice) : time;
}

void ScheduleIndex::wait_until(IndexedMessage& message, Time time, bool exactly) {
    leave_list(message);
    set_state(message, MessageState::Waiting);
    message.next_try = time;
    message.when = exactly ? time : key_for(message, time);
    heap_.put(message);
}

void ScheduleIndex::take(IndexedMessage& message) {
    leave_list(message);
    set_state(message, MessageState::Taken);
    message.flush = false;
    heap_.take_out(message);
}

void ScheduleIndex::hold(IndexedMessage& message) {
    leave_list(message);
    set_state(message, MessageState::Held);
    heap_.take_out(message);
}

void ScheduleIndex::park(IndexedMessage& message, Destination& destination, Time now) {
    leave_list(message);
    set_state(message, MessageState::Parked);
    message.when = key_for(message, std::max(destination.until, now) + kParkedAtMost);
    heap_.put(message);
    message.parked_at = &destination;
    message.before = destination.last;
    (destination.last != nullptr ? destination.last->behind : destination.first) = &message;
    destination.last = &message;
    ++destination.parked;
    if (destination.probe != Time{}) return;
    set_probe(destination, destination.until > now ? destination.until : now + kBusyAtMost);
}

void ScheduleIndex::leave_list(IndexedMessage& message) {
    Destination* const destination = std::exchange(message.parked_at, nullptr);
    if (destination == nullptr) return;
    (message.before != nullptr ? message.before->behind : destination->first) = message.behind;
    (message.behind != nullptr ? message.behind->before : destination->last) = message.before;
    message.before = nullptr;
    message.behind = nullptr;
    if (--destination->parked == 0) set_probe(*destination, Time{});
}

Destination* ScheduleIndex::resting(const IndexedMessage& message, Time now) const {
    Destination* first = nullptr;
    for (Destination* each : message.destinations) {
        if (each->until <= now) return nullptr;
        if (first == nullptr || each->until < first->until) first = each;
    }
    return first;
}

void ScheduleIndex::set_destinations(IndexedMessage& message,
                                     std::vector<Destination*> destinations) {
    for (Destination* each : destinations) ++each->users;
    message.destinations.swap(destinations);
    message.destinations.shrink_to_fit();
    for (Destination* each : destinations) {
        --each->users;
        tidy(*each);
    }
}

Destination& ScheduleIndex::destination(std::string_view name) {
    const auto [at, added] = destinations_.try_emplace(std::string(name));
    if (added) at->second.name = name;
    return at->second;
}

Destination* ScheduleIndex::find_destination(std::string_view name) {
    const auto found = destinations_.find(std::string(name));
    return found == destinations_.end() ? nullptr : &found->second;
}

void ScheduleIndex::tidy(Destination& destination) {
    if (destination.users > 0 || destination.parked > 0 || destination.failures > 0 ||
        destination.draining) {
        return;
    }
    set_probe(destination, Time{});
    destinations_.erase(std::string(destination.name));
}

void ScheduleIndex::forget_unused(Time now) {
    if (destinations_.size() < forget_at_) return;
    std::erase_if(destinations_, [now](const auto& each) {
        const Destination& destination = each.second;
        return destination.users == 0 && destination.parked == 0 && !destination.draining &&
               destination.until + std::chrono::hours(1) < now;
    });
    forget_at_ = std::max<std::size_t>(1024, 2 * destinations_.size());
}

void ScheduleIndex::set_probe(Destination& destination, Time when) {
    if (destination.probe != Time{}) probes_.erase({destination.probe, &destination});
    destination.probe = when;
    if (when != Time{}) probes_.insert({when, &destination});
}

std::size_t ScheduleIndex::unpark(Destination& destination, std::size_t count, Time now) {
    std::size_t done = 0;
    for (; done < count && destination.first != nullptr; ++done) {
        wait_until(*destination.first, now);
    }
    return done;
}

void ScheduleIndex::drain(Destination& destination) {
    if (destination.draining || destination.parked == 0) return;
    destination.draining = true;
    draining_.push_back(&destination);
}

void ScheduleIndex::unpark_due(Time now, std::size_t limit) {
    while (!probes_.empty() && probes_.begin()->first <= now) {
        Destination& destination = *probes_.begin()->second;
        unpark(destination, kProbe, now);
        const bool was_reached = destination.failures == 0;
        if (destination.parked > 0) {
            set_probe(destination, now + (was_reached ? kBusyAtMost : kProbeAgain));
        }
    }
    while (!draining_.empty() && limit > 0) {
        Destination& destination = *draining_.back();
        limit -= unpark(destination, limit, now);
        if (destination.parked > 0) return;
        draining_.pop_back();
        destination.draining = false;
        tidy(destination);
    }
}

std::optional<Time> ScheduleIndex::next_due() const {
    if (!draining_.empty()) return Time{};
    std::optional<Time> next;
    if (!heap_.empty()) next = heap_.top()->when;
    if (!probes_.empty() && (!next || probes_.begin()->first < *next)) {
        next = probes_.begin()->first;
    }
    return next;
}

}  // namespace muster::queue
