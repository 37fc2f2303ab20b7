#pragma once
// The replication feed: what a source sends on the cluster port, as JSON lines.
//
//   GET /v1/changes?since=CURSOR            an endless stream
//   GET /v1/copy?from=KEY&to=KEY&limit=N    one page of entries in key order
//   GET /v1/digests?from=KEY&limit=N        digests of key ranges, to find what differs
//
//   {"key":K,"value":V,"revision":N}         an entry as it stands
//   {"key":K,"deleted":true,"revision":N}    a tombstone
//   {"digest":H,"count":N,"to":K}            of the range up to and including K
//   {"terms":[[1,1],[2,400]]}                the source's table of terms, first in a stream and
//   when it grows
//   {"next":K}                               a page: where the next one begins
//   {"cursor":C,"time":MS}                   a progress mark: all before it belongs together, and
//                                            was everything at that time (0: there is more)
//   {"error":"diverged"|"behind"|"trimmed"}  ends a stream
//
// A page ends with its mark (the head of the store when it was read); one without is cut off.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "state/store.h"

namespace muster::state {

inline constexpr std::size_t kFeedPage = 2'000;        ///< entries a page unless asked otherwise
inline constexpr std::size_t kFeedPageLimit = 10'000;  ///< and at most
inline constexpr std::size_t kDigestRange = 1'000;     ///< entries a digest covers
/// How often a quiet stream must carry a mark: well below a follower's inactivity time-out.
inline constexpr std::chrono::seconds kMarkInterval{2};

// Sender. Calls block (they read the store): blocking threads only.

/// What one reader is sent.
struct FeedView {
    /// Makes of a value what that reader gets: the same each time, as digests must agree. Empty:
    /// values as they stand.
    using Rewrite = std::function<void(std::string_view key, std::string& value)>;

    Sight sight;
    Rewrite rewrite{};

    // NOLINTNEXTLINE(google-explicit-constructor): most readers have no more than a scope
    FeedView(Scope scope) : sight(scope) {}
    FeedView(Sight sees, Rewrite changes) : sight(sees), rewrite(std::move(changes)) {}
};

/// The body of one `copy` or `digests` request.
Result<std::string> copy_page(Store& store, const FeedView& view, std::string_view from,
                              std::string_view to, std::size_t limit);
Result<std::string> digest_page(Store& store, const FeedView& view, std::string_view from,
                                std::size_t limit);

/// The body of one `changes` request, piece by piece. The caller sends each piece, then waits for
/// the store's watch or kMarkInterval, whichever is first, and asks again. One thread at a time.
class ChangeStream {
public:
    ChangeStream(Store& store, FeedView view, Cursor since);

    /// Changes up to now and a mark, or an error line, after which over() holds. Never empty.
    Result<std::string> next();
    [[nodiscard]] bool more() const { return more_; }  ///< ask again at once
    [[nodiscard]] bool over() const { return over_; }  ///< the stream has ended

private:
    Store& store_;
    FeedView view_;
    Cursor position_;
    std::vector<Term> terms_;  ///< as last sent
    bool more_ = false;
    bool over_ = false;
};

/// A request as parsed from the query part of its target.
struct FeedQuery {
    Cursor since;
    std::string from;
    std::string to;
    std::size_t limit = kFeedPage;
};
/// `since=…&limit=…`, percent-encoded; unknown or repeated fields are ErrorKind::Syntax.
Result<FeedQuery> parse_feed_query(std::string_view query);
std::string percent_encode(std::string_view text);

// Receiver.

struct EntryLine {
    Change change;
};
struct DigestLine {
    std::uint64_t digest = 0;
    std::uint64_t count = 0;
    std::string to;
};
struct TermsLine {
    std::vector<Term> terms;
};
struct NextLine {
    std::string key;
};
struct MarkLine {
    Cursor cursor;
    std::chrono::milliseconds time{};  ///< the sender's clock, since 1970; 0: there is more
};
struct ErrorLine {
    Standing standing = Standing::Diverged;
};
using FeedLine = std::variant<EntryLine, DigestLine, TermsLine, NextLine, MarkLine, ErrorLine>;

inline constexpr std::size_t kMaxFeedLine = 2 * kMaxValue;

/// One line without its line break. Anything but the forms above is ErrorKind::Syntax.
Result<FeedLine> parse_feed_line(std::string_view line);

/// Cuts bytes into lines of at most kMaxFeedLine.
class LineSplitter {
public:
    /// Calls `take` for each whole line; stops at its first error, which it returns.
    Result<> feed(std::string_view bytes, const std::function<Result<>(std::string_view)>& take);

private:
    std::string pending_;
};

/// The digest of a range: of every key, revision and value in order.
class RangeDigest {
public:
    void add(std::string_view key, std::string_view value, Revision revision);
    [[nodiscard]] std::uint64_t value() const { return state_; }
    [[nodiscard]] std::uint64_t count() const { return count_; }

private:
    void mix(std::string_view bytes);

    std::uint64_t state_ = 0xcbf29ce484222325;
    std::uint64_t count_ = 0;
};

}  // namespace muster::state
