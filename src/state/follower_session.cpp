#include "state/follower_session.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "base/log.h"

namespace muster::state {
namespace {

using Stage = ReplicaPosition::Stage;

/// Bounds on what a source may make us hold between two marks.
constexpr std::size_t kMaxPendingBytes = std::size_t{64} << 20;
constexpr std::size_t kMaxPending = 200'000;
/// A source that sends us from one stage to another without end is left for the back-off.
constexpr int kMaxSteps = 6;

std::unexpected<Error> nonsense(std::string what) {
    return fail(ErrorKind::Syntax, "the source sends nonsense", std::move(what));
}

std::unexpected<Error> behind() {
    return fail(ErrorKind::Diverged, "the source is behind this replica",
                "the source is behind this replica, which waits for it and goes on serving: it has "
                "not caught up yet, or was set back to an older state. If it leads, put the newer "
                "state back there (muster cluster restore), or promote a stand-in that has it "
                "(muster cluster promote NAME --force), or give up what it lacks (muster cluster "
                "accept-loss at the master)");
}

template <typename... Handlers>
struct Overloaded : Handlers... {
    using Handlers::operator()...;
};

}  // namespace

std::optional<std::chrono::milliseconds> FollowerStatus::lag_in(
    std::optional<std::chrono::milliseconds> unheard) const {
    if (!lag || phase == FollowerPhase::Following) return lag;
    return std::max(*lag, unheard.value_or(*lag));
}

FollowerSession::FollowerSession(Replica& replica, ReplicaWriter& writer, Source& source,
                                 Options options, std::stop_token stop, Report report)
    : replica_(replica),
      writer_(writer),
      source_(source),
      options_(options),
      stop_(std::move(stop)),
      report_(std::move(report)) {}

Error FollowerSession::run() {
    for (int steps = 0; steps < kMaxSteps; ++steps) {
        if (auto done = step(); !done) return std::move(done.error());
        if (left_in_step_) return {ErrorKind::Unavailable, "nothing is missing", ""};
    }
    return {ErrorKind::Unavailable, "the source keeps changing its history", ""};
}

Result<> FollowerSession::step() {
    const Stage stage = writer_.position().stage;
    if (stage == Stage::Empty || stage == Stage::Copying || replica_.damaged()) return copy();
    return stage == Stage::Repairing ? repair() : stream();
}

Result<> FollowerSession::copy() {
    enter(FollowerPhase::Copying);
    if (writer_.position().stage == Stage::Copying) {
        if (auto known = count_what_was_copied(); !known) return known;
    }
    while (true) {
        const bool resumed = writer_.position().stage == Stage::Copying;
        const std::string from = resumed ? writer_.position().next : "";
        auto page = fetch_page(
            "/v1/copy?from=" + percent_encode(from) + "&limit=" + std::to_string(options_.page),
            from, "");
        if (!page) return std::unexpected(page.error());
        const auto anew = resumed ? outdated(page->head) : true;
        if (!anew) return std::unexpected(anew.error());
        if (*anew) {
            if (auto done = writer_.begin_copy(page->head); !done) return done;
            report_([](FollowerStatus& status) { status.entries = 0; });
            if (!from.empty()) continue;
        }
        if (auto done = writer_.add_page(page->entries, page->next, page->head); !done) return done;
        count(page->entries.size());
        goes_well();
        if (page->next.empty()) return writer_.finish_copy();
    }
}

Result<> FollowerSession::repair() {
    enter(FollowerPhase::Repairing);
    while (true) {
        const bool begun = !writer_.position().cursor.empty();
        const std::string from = begun ? writer_.position().next : "";
        auto page =
            fetch_page("/v1/digests?from=" + percent_encode(from) + "&limit=10000", from, "");
        if (!page) return std::unexpected(page.error());
        const auto anew = begun ? outdated(page->head) : true;
        if (!anew) return std::unexpected(anew.error());
        if (*anew) {
            if (auto done = writer_.begin_repair(page->head); !done) return done;
            if (!from.empty()) continue;
        }
        if (auto done = repair_page(*page, from); !done) return done;
        goes_well();
        if (page->next.empty()) return writer_.finish_repair();
        auto done = writer_.repaired_up_to(page->next, page->head);
        if (!done) return done;
    }
}

Result<> FollowerSession::repair_page(const PageReply& page, const std::string& from) {
    if (from.empty() && page.digests.empty()) {
        const auto holds = writer_.holds_entries();
        if (!holds) return std::unexpected(holds.error());
        // Rather a stale directory than none: the source was emptied, or is the wrong one.
        if (*holds) {
            return fail(ErrorKind::Refused, "the source is empty",
                        "the source holds nothing, this replica does: it is kept; remove the "
                        "replica's files to follow this source nevertheless");
        }
    }
    std::string at = from;
    std::optional<std::string> differs;  // where the range that differs begins
    for (const DigestLine& line : page.digests) {
        const auto ours = writer_.digest(at, line.to);
        if (!ours) return std::unexpected(ours.error());
        const bool same = ours->value() == line.digest && ours->count() == line.count;
        if (same && differs) {
            if (auto done = fetch_range(*differs, at); !done) return done;
            differs.reset();
        }
        if (!same && !differs) differs = at;
        at = after(line.to);
        count(line.count);
    }
    if (differs) {
        if (auto done = fetch_range(*differs, at); !done) return done;
    }
    // What the source does not have between its last key here and the next page.
    return writer_.replace_range(at, page.next, {}, page.head);
}

Result<> FollowerSession::fetch_range(std::string from, const std::string& to) {
    while (true) {
        const auto page =
            fetch_page("/v1/copy?from=" + percent_encode(from) + "&to=" + percent_encode(to) +
                           "&limit=" + std::to_string(options_.page),
                       from, to);
        if (!page) return std::unexpected(page.error());
        const auto anew = outdated(page->head);
        if (!anew) return std::unexpected(anew.error());
        const std::string& end = page->next.empty() ? to : page->next;
        auto done = writer_.replace_range(from, end, page->entries, page->head);
        if (!done || page->next.empty()) return done;
        from = page->next;
    }
}

Result<FollowerSession::PageReply> FollowerSession::fetch_page(const std::string& target,
                                                               std::string_view from,
                                                               std::string_view to) {
    PageReply page;
    const auto done =
        read(target, [&](FeedLine line) { return take_page_line(page, std::move(line)); });
    if (!done) return std::unexpected(done.error());
    if (!page.ended) return fail(ErrorKind::Unavailable, "the source's page was cut off");
    if (auto sound = check_page(page, from, to); !sound) return std::unexpected(sound.error());
    return page;
}

Result<> FollowerSession::take_page_line(PageReply& page, FeedLine line) {
    if (page.ended) return nonsense("lines after the end of a page");
    return std::visit(
        Overloaded{
            [&](EntryLine& entry) -> Result<> {
                if (!entry.change.value) return nonsense("a tombstone in a page");
                page.bytes += entry.change.key.size() + entry.change.value->size();
                if (page.bytes > kMaxPendingBytes) return nonsense("too large a page");
                page.entries.push_back({std::move(entry.change.key), std::move(*entry.change.value),
                                        entry.change.revision});
                return {};
            },
            [&](DigestLine& digest) -> Result<> {
                page.digests.push_back(std::move(digest));
                if (page.digests.size() > kMaxPending) return nonsense("too large a page");
                return {};
            },
            [&](NextLine& next) -> Result<> {
                page.next = std::move(next.key);
                return {};
            },
            [&](MarkLine& mark) -> Result<> {
                page.head = std::move(mark.cursor);
                page.ended = true;
                return {};
            },
            [](TermsLine&) -> Result<> { return nonsense("a table of terms in a page"); },
            [](ErrorLine&) -> Result<> { return nonsense("an error in a page"); },
        },
        line);
}

bool FollowerSession::may_be_here(std::string_view key) const {
    // The source knows whether a mirror has the right to credentials for delivery.
    return !forbidden(key, Sight(options_.scope, options_.scope == Scope::Mirror));
}

Result<> FollowerSession::check_page(const PageReply& page, std::string_view from,
                                     std::string_view to) const {
    std::string_view last;
    const auto follows = [&](std::string_view key) {
        const bool fits = key >= from && key > last && (to.empty() || key < to);
        last = key;
        return fits;
    };
    for (const Entry& entry : page.entries) {
        if (!follows(entry.key)) return nonsense("a page out of order");
        if (!may_be_here(entry.key)) return nonsense("more than this node may see");
    }
    last = {};
    for (const DigestLine& digest : page.digests) {
        if (!follows(digest.to)) return nonsense("digests out of order");
    }
    if (!page.next.empty() && (!follows(page.next) || page.next == from ||
                               (!page.entries.empty() && page.next <= page.entries.back().key))) {
        return nonsense("a page that leads back");
    }
    return {};
}

Result<bool> FollowerSession::outdated(const Cursor& head) const {
    const Cursor& start = writer_.position().cursor;
    if (head.incarnation > start.incarnation) return true;
    const bool reached = head.incarnation == start.incarnation &&
                         std::tie(head.term, head.revision) >= std::tie(start.term, start.revision);
    if (!reached) return behind();
    return false;
}

Result<> FollowerSession::stream() {
    pending_.clear();
    pending_bytes_ = 0;
    terms_seen_ = false;
    stream_over_ = false;
    auto done = read("/v1/changes?since=" + percent_encode(format(writer_.position().cursor)),
                     [this](FeedLine line) { return take_stream_line(std::move(line)); });
    if (!done || stream_over_) return done;
    return fail(ErrorKind::Unavailable, "the source ended its stream");
}

Result<> FollowerSession::take_stream_line(FeedLine line) {
    if (stream_over_) return {};
    return std::visit(Overloaded{
                          [&](EntryLine& entry) { return take_change(std::move(entry.change)); },
                          [&](TermsLine& terms) { return take_terms(terms); },
                          [&](MarkLine& mark) { return take_mark(mark); },
                          [&](ErrorLine& error) { return take_error(error.standing); },
                          [](DigestLine&) -> Result<> { return nonsense("a digest in a stream"); },
                          [](NextLine&) -> Result<> { return nonsense("a page in a stream"); },
                      },
                      line);
}

Result<> FollowerSession::take_change(Change change) {
    if (!may_be_here(change.key)) return nonsense("more than this node may see");
    pending_bytes_ += change.key.size() + (change.value ? change.value->size() : 0);
    pending_.push_back(std::move(change));
    if (pending_.size() > kMaxPending || pending_bytes_ > kMaxPendingBytes) {
        return nonsense("too much between two marks");
    }
    return {};
}

Result<> FollowerSession::take_terms(const TermsLine& terms) {
    terms_seen_ = true;
    writer_.note_terms(terms.terms);
    const ReplicaPosition& position = writer_.position();
    if (position.settle.empty()) return {};
    // Pages were read from a history that this source has to share, too.
    const History history{.incarnation = position.cursor.incarnation,
                          .terms = terms.terms,
                          .head = std::numeric_limits<Revision>::max()};
    const Standing settle = standing(history, position.settle);
    return settle == Standing::Shared ? Result<>() : take_error(settle);
}

Result<> FollowerSession::take_mark(const MarkLine& mark) {
    const Cursor& position = writer_.position().cursor;
    const bool onward = mark.cursor.incarnation == position.incarnation &&
                        std::tie(mark.cursor.term, mark.cursor.revision) >=
                            std::tie(position.term, position.revision);
    if (!onward) return nonsense("a mark that leads back");
    if (!terms_seen_ && !writer_.position().settle.empty()) return nonsense("no table of terms");
    if (auto done = writer_.apply(pending_, mark.cursor); !done) return done;
    pending_.clear();
    pending_bytes_ = 0;
    goes_well();
    enter(FollowerPhase::Following);
    if (mark.time.count() != 0) {
        const bool is_known = mark.time.count() > 1;
        if (is_known) {
            replica_.heard(mark.time);
            const auto lag = lag_of(mark);
            report_([&](FollowerStatus& status) { status.lag = lag; });
        }
        left_in_step_ = options_.leaves_in_step && !replica_.damaged();
        if (left_in_step_) stream_over_ = true;
    }
    if (replica_.damaged()) stream_over_ = true;
    return {};
}

std::chrono::milliseconds FollowerSession::lag_of(const MarkLine& mark) {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const auto here = std::chrono::duration_cast<std::chrono::milliseconds>(now);
    const auto apart = here - mark.time;
    if (here - quickest_since_ > kForgets / 2) {
        quickest_before_ = std::exchange(quickest_, std::nullopt);
        quickest_since_ = here;
    }
    quickest_ = std::min(quickest_.value_or(apart), apart);
    return apart - std::min(*quickest_, quickest_before_.value_or(*quickest_));
}

Result<> FollowerSession::take_error(Standing standing) {
    if (standing == Standing::Behind) return behind();
    log::warning("follower_repairs", {{"source", source_.name()},
                                      {"why", name(standing)},
                                      {"cursor", format(writer_.position().cursor)}});
    stream_over_ = true;
    return writer_.begin_repair({});
}

Result<> FollowerSession::read(const std::string& target,
                               const std::function<Result<>(FeedLine)>& take) {
    LineSplitter splitter;
    Result<> taken;
    const auto done = source_.get(target, [&](std::string_view bytes) {
        if (stop_.stop_requested()) return false;
        taken = splitter.feed(bytes, [&](std::string_view text) -> Result<> {
            auto line = parse_feed_line(text);
            if (!line) return std::unexpected(line.error());
            return take(std::move(*line));
        });
        return taken.has_value() && !stream_over_;
    });
    if (!taken) return taken;
    if (stop_.stop_requested()) return fail(ErrorKind::Unavailable, "stopped");
    return stream_over_ ? Result<>() : done;
}

void FollowerSession::enter(FollowerPhase phase) {
    report_([&](FollowerStatus& status) {
        if (status.phase != phase) {
            log::info("follower", {{"phase", name(phase)}, {"source", source_.name()}});
            status.phase = phase;
            status.since = std::chrono::system_clock::now();
            status.entries = 0;
        }
        status.cursor = writer_.position().cursor;
    });
}

void FollowerSession::goes_well() {
    progressed_ = true;
    report_([](FollowerStatus& status) {
        status.trouble.clear();
        status.refused = false;
    });
}

Result<> FollowerSession::count_what_was_copied() {
    const auto entries = writer_.count_entries();
    if (!entries) return std::unexpected(entries.error());
    report_([&](FollowerStatus& status) { status.entries = *entries; });
    return {};
}

void FollowerSession::count(std::size_t entries) {
    report_([&](FollowerStatus& status) { status.entries += entries; });
}

}  // namespace muster::state
