#include "admin/queue_report.h"

#include <charconv>

#include "base/metrics.h"

namespace muster::admin {
namespace {

using nlohmann::json;

constexpr std::size_t kLookForOldest = 1'000;
constexpr std::chrono::seconds kLongestAge{std::chrono::days(3'650)};

std::int64_t seconds(queue::Time time) {
    return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

template <typename List>
json first_of(const List& list) {
    json shown = json::array();
    for (const auto& each : list) {
        if (shown.size() == kShownRecipients) break;
        shown.push_back(each);
    }
    return shown;
}

const char* name(queue::RecipientState::Kind kind) {
    switch (kind) {
        case queue::RecipientState::Kind::Open: return "open";
        case queue::RecipientState::Kind::Delivered: return "delivered";
        case queue::RecipientState::Kind::Failed: return "failed";
    }
    return "open";
}

json shown(const queue::Recipient& recipient, const queue::RecipientState& state) {
    json row{{"address", recipient.address}, {"state", name(state.kind)}, {"tries", state.tries}};
    if (state.last.status.empty()) return row;
    row["last"] = {{"time", seconds(state.last.at)},
                   {"status", state.last.status},
                   {"server", state.last.server},
                   {"text", state.last.text}};
    return row;
}

const char* kind_name(queue::Kind kind) { return kind == queue::Kind::Dsn ? "dsn" : "mail"; }

void count(const char* name, const char* help, std::uint64_t now, std::uint64_t before) {
    metrics::counter(name, help).add(now - std::min(now, before));
}

}  // namespace

Result<std::chrono::seconds> parse_age(std::string_view text) {
    std::uint64_t number = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    const std::string_view unit(read.ptr, text.data() + text.size());
    std::uint64_t factor = 0;
    if (unit.empty() || unit == "s") factor = 1;
    if (unit == "m") factor = 60;
    if (unit == "h") factor = 3'600;
    if (unit == "d") factor = 86'400;
    const auto most = static_cast<std::uint64_t>(kLongestAge.count());
    if (read.ec != std::errc() || factor == 0 || number > most / factor) {
        return fail(ErrorKind::Syntax, "no time span (90s, 15m, 4h, 2d): " + std::string(text));
    }
    return std::chrono::seconds(number * factor);
}

Result<queue::Filter> queue_filter(const std::function<std::string(const char*)>& get,
                                   queue::Time now) {
    queue::Filter filter;
    filter.sender = get("sender");
    filter.recipient = get("recipient");
    filter.domain = get("domain");
    filter.destination = get("destination");
    if (const std::string server = get("server"); !server.empty()) {
        filter.destination = "server:" + server;
    }
    if (const std::string state = get("state"); !state.empty()) {
        const auto known = queue::message_state_from(state);
        if (!known) return std::unexpected(known.error());
        filter.state = *known;
    }
    for (const auto& [field, into] :
         {std::pair{"older", &filter.arrived_before}, {"newer", &filter.arrived_after}}) {
        const std::string text = get(field);
        if (text.empty()) continue;
        const auto age = parse_age(text);
        if (!age) return std::unexpected(age.error());
        *into = now - *age;
    }
    return filter;
}

json shown(const queue::Summary& message, const std::string& node) {
    return {{"id", message.id.text},
            {"node", node},
            {"state", name(message.state)},
            {"kind", kind_name(message.kind)},
            {"sender", message.sender},
            {"recipients", first_of(message.addresses)},
            {"recipient_count", message.recipients},
            {"open", message.open},
            {"destinations", first_of(message.destinations)},
            {"size", message.size},
            {"arrived", seconds(message.arrived)},
            {"expires", seconds(message.expires)},
            {"next_try", seconds(message.next_try)},
            {"tries", message.tries},
            {"delay_notice", message.delay_notice}};
}

json shown(const queue::QueuedMessage& message, const std::optional<queue::Summary>& summary,
           const std::string& node) {
    const queue::Envelope& envelope = message.envelope;
    json row{{"id", message.id.text},
             {"node", node},
             {"state", summary ? name(summary->state) : "trying"},
             {"kind", kind_name(envelope.kind)},
             {"sender", envelope.sender},
             {"size", message.content->size()},
             {"arrived", seconds(envelope.arrived)},
             {"expires", seconds(envelope.expires)},
             {"tries", message.tries},
             {"delay_notice", message.delay_notice},
             {"from",
              {{"address", envelope.client_address},
               {"name", envelope.client_name},
               {"helo", envelope.helo},
               {"login", envelope.login},
               {"session", envelope.session.text},
               {"by", envelope.route_class}}}};
    if (summary) {
        row["next_try"] = seconds(summary->next_try);
        row["destinations"] = first_of(summary->destinations);
    }
    json recipients = json::array();
    for (std::size_t i = 0; i < envelope.recipients.size() && i < message.states.size(); ++i) {
        recipients.push_back(shown(envelope.recipients[i], message.states[i]));
    }
    row["recipients"] = std::move(recipients);
    return row;
}

json shown(const queue::DestinationState& destination, const std::string& node) {
    json row{{"destination", destination.destination},
             {"node", node},
             {"parked", destination.parked},
             {"failures", destination.failures}};
    if (destination.until != queue::Time{}) row["until"] = seconds(destination.until);
    if (!destination.reason.empty()) row["reason"] = destination.reason;
    return row;
}

json shown(const queue::AdoptReport& report) {
    return {{"known", report.known},
            {"adopted", report.adopted},
            {"present", report.present},
            {"corrupt", report.corrupt},
            {"removed", report.removed}};
}

json queue_counts(queue::Spool& spool) {
    const auto counts = spool.schedule().counts();
    const auto loading = spool.loading();
    json row{{"messages", counts.messages}, {"bytes", counts.bytes},   {"waiting", counts.waiting},
             {"parked", counts.parked},     {"trying", counts.taken},  {"held", counts.held},
             {"loaded", loading.loaded},    {"loading", !loading.done}};
    if (const auto oldest = oldest_waiting(spool.schedule())) {
        const auto age = std::chrono::duration_cast<std::chrono::seconds>(queue::now() - *oldest);
        row["oldest_age"] = std::max<std::int64_t>(age.count(), 0);
    }
    return row;
}

std::optional<queue::Time> oldest_waiting(queue::Schedule& schedule) {
    queue::QueueId cursor;
    for (std::size_t looked = 0; looked < kLookForOldest;) {
        const queue::Page page = schedule.list({}, cursor, 50, kLookForOldest - looked);
        for (const queue::Summary& message : page.messages) {
            if (message.state != queue::MessageState::Held) return message.arrived;
        }
        if (page.next.empty()) break;
        looked += page.looked_at;
        cursor = page.next;
    }
    return {};
}

QueueState queue_state(queue::Spool& spool) {
    QueueState state;
    state.owned = spool.owned();
    state.accepts = spool.accepts(1);
    state.loading = spool.loading();
    if (const auto oldest = oldest_waiting(spool.schedule())) {
        state.oldest = std::chrono::duration_cast<std::chrono::seconds>(queue::now() - *oldest);
    }
    return state;
}

std::vector<Alarm> queue_alarms(const QueueState& state) {
    std::vector<Alarm> alarms;
    if (!state.owned) {
        alarms.push_back(
            {"queue",
             "was taken over by another node, or this node was revoked: nothing is taken "
             "or delivered from it",
             true});
    } else if (!state.accepts && state.accepts.error().kind == ErrorKind::Limit) {
        alarms.push_back({"queue", "has no room: " + state.accepts.error().detail, true});
    }
    if (!state.loading.done) {
        // Without figures: each text is logged once.
        alarms.push_back({"queue", "is still being loaded", false});
    }
    if (state.oldest && *state.oldest > kOldMessage) {
        const auto hours = std::chrono::duration_cast<std::chrono::hours>(kOldMessage).count();
        alarms.push_back({"queue",
                          "holds mail that waits for more than " + std::to_string(hours) + " hours",
                          false});
    }
    return alarms;
}

void QueueMeters::measure(queue::Spool& spool) {
    const std::scoped_lock lock(mutex_);
    const auto counts = spool.schedule().counts();
    const auto gauge = [](const char* state, std::uint64_t value) {
        metrics::gauge("muster_queue_messages", "Messages in the queue", {{"state", state}})
            .set(static_cast<double>(value));
    };
    gauge("waiting", counts.waiting);
    gauge("parked", counts.parked);
    gauge("trying", counts.taken);
    gauge("held", counts.held);
    metrics::gauge("muster_queue_bytes", "Bytes of the messages in the queue")
        .set(static_cast<double>(counts.bytes));
    const auto oldest = oldest_waiting(spool.schedule());
    const std::chrono::duration<double> age =
        oldest ? queue::now() - *oldest : queue::Time::duration{};
    metrics::gauge("muster_queue_oldest_seconds",
                   "How long the oldest message waits that is not held")
        .set(std::max(age.count(), 0.0));
    const auto loading = spool.loading();
    metrics::gauge("muster_queue_loaded", "Messages that were loaded since the start")
        .set(static_cast<double>(loading.loaded));
    metrics::gauge("muster_queue_loading", "1 until everything found at the start is loaded")
        .set(loading.done ? 0 : 1);
    metrics::gauge("muster_queue_owned",
                   "0 once another node has taken the queue over, or while this node is revoked")
        .set(spool.owned() ? 1 : 0);
    const auto now = spool.figures();
    count("muster_queue_commits_total", "Messages stored", now.commits, counted_.commits);
    count("muster_queue_syncs_total", "Syncs for them", now.syncs, counted_.syncs);
    count("muster_queue_refused_total", "Messages refused for want of room", now.refused,
          counted_.refused);
    count("muster_queue_failed_total", "Messages that the disk did not take", now.failed,
          counted_.failed);
    count("muster_queue_removals_total", "Messages that left the queue", now.removals,
          counted_.removals);
    counted_ = now;
}

}  // namespace muster::admin
