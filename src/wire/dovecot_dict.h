#pragma once
// The server's side of Dovecot 2.3's dict protocol (its `proxy:` driver; major versions 2 and 3).
// Lines end with LF and come here without it.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"

namespace muster::wire::dovecot_dict {

inline constexpr std::size_t kMaxLine = 65536;

struct Hello {
    unsigned major = 0;
    unsigned minor = 0;
    unsigned value_type = 0;
    std::string user;  ///< major 2 only; in 3 each command names its user
    std::string dict;
};
struct Lookup {
    std::string key;
    std::string user;
};
struct Iterate {
    enum Flag : unsigned {
        Recurse = 1,
        SortByKey = 2,
        SortByValue = 4,
        NoValue = 8,
        ExactKey = 16
    };
    unsigned flags = 0;
    std::uint64_t max_rows = 0;  ///< 0: no limit
    std::string path;
    std::string user;
};
/// Transactions: only Commit is answered.
struct Begin {
    unsigned id = 0;
    std::string user;
};
struct Commit {
    unsigned id = 0;
    bool async = false;  ///< command D; its answer has an `A` in front
};
struct Rollback {
    unsigned id = 0;
};
struct Set {
    unsigned id = 0;
    std::string key;
    std::string value;
};
struct Unset {
    unsigned id = 0;
    std::string key;
};
struct AtomicInc {
    unsigned id = 0;
    std::string key;
    std::int64_t difference = 0;
};
struct Timestamp {
    unsigned id = 0;
    std::int64_t seconds = 0;
    std::uint32_t nanoseconds = 0;
};
/// V: do not log values of this transaction.
struct HideLogValues {
    unsigned id = 0;
    bool hide = false;
};
using Command = std::variant<Hello, Lookup, Iterate, Begin, Commit, Rollback, Set, Unset, AtomicInc,
                             Timestamp, HideLogValues>;

/// `major`: of the connection's Hello (3 before it). Fields that newer Dovecots append are ignored.
Result<Command> parse_command(std::string_view line, unsigned major = 3);

/// Answers, with their LF. In order of the commands they need no id; with `async_id` they may come
/// in any order, if write_async_id() was sent when the command arrived (minor version 1 on).
using AsyncId = std::optional<std::uint32_t>;
std::string write_async_id(std::uint32_t id);
std::string write_found(std::string_view value, AsyncId async_id = {});
std::string write_not_found(AsyncId async_id = {});
std::string write_failure(std::string_view reason, AsyncId async_id = {});
std::string write_row(std::string_view key, std::string_view value, AsyncId async_id = {});
std::string write_end_of_rows(AsyncId async_id = {});

enum class CommitResult : char { Ok = 'O', NotFound = 'N', Failed = 'F', Uncertain = 'W' };
std::string write_commit(const Commit& commit, CommitResult result, std::string_view reason = {},
                         AsyncId async_id = {});

}  // namespace muster::wire::dovecot_dict
