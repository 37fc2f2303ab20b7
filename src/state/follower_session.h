#pragma once
// One attempt to keep a replica in step with one source.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "state/feed.h"
#include "state/replica_writer.h"
#include "state/source.h"

namespace muster::state {

enum class FollowerPhase : std::uint8_t {
    Waiting,    ///< no source answers, or only ones that are behind
    Copying,    ///< the first copy, or a new one in place of a damaged one
    Repairing,  ///< by difference, after a divergence or a trimmed log
    Following,  ///< in step
};
std::string_view name(FollowerPhase phase);

struct FollowerStatus {
    FollowerPhase phase = FollowerPhase::Waiting;
    std::string source;                                ///< the one in use or last tried
    Cursor cursor;                                     ///< what the replica holds
    std::chrono::system_clock::time_point since;       ///< of this phase
    std::optional<std::chrono::milliseconds> lag;      ///< of the last mark behind the quickest one
    std::optional<std::chrono::milliseconds> silence;  ///< since the last mark was heard
    std::uint64_t entries = 0;                         ///< copied or compared in this phase
    std::string trouble;                               ///< why it waits; empty once it goes on
    bool refused = false;  ///< by the source, by our disk, or the source is behind us

    /// The lag as people are told it: while nothing is heard it is no less than that lasts.
    [[nodiscard]] std::optional<std::chrono::milliseconds> lag_in(
        std::optional<std::chrono::milliseconds> unheard) const;
};

/// Copies, repairs and follows as the replica's position asks, until the source fails. Everything
/// that arrives is checked: a cut, repeated or mixed-up body changes nothing. One thread.
class FollowerSession {
public:
    struct Options {
        Scope scope = Scope::Relay;
        std::size_t page = kFeedPage;
        /// Leaves as soon as nothing is missing, instead of waiting for changes.
        bool leaves_in_step = false;
    };
    using Report = std::function<void(const std::function<void(FollowerStatus&)>&)>;

    FollowerSession(Replica& replica, ReplicaWriter& writer, Source& source, Options options,
                    std::stop_token stop, Report report);

    /// Returns why it ended; never without an error.
    Error run();
    /// Whether anything was learnt from the source.
    [[nodiscard]] bool progressed() const { return progressed_; }
    /// Whether it left because nothing was missing.
    [[nodiscard]] bool left_in_step() const { return left_in_step_; }

private:
    struct PageReply {
        std::vector<Entry> entries;
        std::vector<DigestLine> digests;
        std::string next;
        Cursor head;
        bool ended = false;
        std::size_t bytes = 0;
    };

    Result<> step();
    Result<> copy();
    Result<> repair();
    Result<> repair_page(const PageReply& page, const std::string& from);
    Result<> fetch_range(std::string from, const std::string& to);
    Result<> stream();

    Result<PageReply> fetch_page(const std::string& target, std::string_view from,
                                 std::string_view to);
    Result<> take_page_line(PageReply& page, FeedLine line);
    [[nodiscard]] bool may_be_here(std::string_view key) const;
    Result<> check_page(const PageReply& page, std::string_view from, std::string_view to) const;
    /// True: the source has a newer incarnation than the one that was begun with.
    Result<bool> outdated(const Cursor& head) const;

    Result<> take_stream_line(FeedLine line);
    Result<> take_change(Change change);
    Result<> take_terms(const TermsLine& terms);
    Result<> take_mark(const MarkLine& mark);
    static constexpr std::chrono::milliseconds kForgets = std::chrono::minutes(20);
    /// How much longer this mark was on its way than the quickest one of the session: the source's
    /// clock may be another one, so that only differences say something. Never negative. Clocks
    /// that were set or drift apart are made up for within kForgets.
    std::chrono::milliseconds lag_of(const MarkLine& mark);
    Result<> take_error(Standing standing);

    Result<> read(const std::string& target, const std::function<Result<>(FeedLine)>& take);
    void enter(FollowerPhase phase);
    /// Something was taken in: what stood in the way does no longer.
    void goes_well();
    void count(std::size_t entries);
    /// A copy that was interrupted goes on, and so does its count.
    Result<> count_what_was_copied();

    Replica& replica_;
    ReplicaWriter& writer_;
    Source& source_;
    Options options_;
    std::stop_token stop_;
    Report report_;
    bool progressed_ = false;
    bool left_in_step_ = false;
    bool stream_over_ = false;  ///< left on purpose
    bool terms_seen_ = false;
    /// Our steady clock minus a mark's time, the least of some minutes and of those before.
    std::optional<std::chrono::milliseconds> quickest_;
    std::optional<std::chrono::milliseconds> quickest_before_;
    std::chrono::milliseconds quickest_since_{0};
    std::vector<Change> pending_;
    std::size_t pending_bytes_ = 0;
};

}  // namespace muster::state
