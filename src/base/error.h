#pragma once
// The three kinds of failure: an answer (Error in a Result), the end of a conversation
// (net::ConversationOver, thrown by net/ alone), and a bug (check()).

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace muster {

/// What kind of answer an Error is. Each protocol maps a kind to its reply in one function.
enum class ErrorKind {
    Syntax,       ///< the other side broke the grammar or a limit of it
    NotFound,     ///< no such entry, account, server …
    Unavailable,  ///< exists, but cannot be reached or used now; trying again may help
    Refused,      ///< understood and denied: credentials, rights, policy
    Limit,        ///< too many, too large, too fast
    Conflict,     ///< a condition of a transaction did not hold; read again
    Diverged,     ///< a cursor belongs to a history that this source does not share
    Corrupt,      ///< stored or received data is damaged
    Io,           ///< the operating system refused (disk full, permissions …)
};

/// An expected failure. `public_text` may be shown to any client: it names no host, path or
/// account state. `detail` is for the log and the operator.
struct Error {
    ErrorKind kind;
    std::string public_text;
    std::string detail;
};

template <typename T = void>
using Result = std::expected<T, Error>;

/// Shorthand for `return fail(ErrorKind::Syntax, "…")`. With one text, both texts are the same.
[[nodiscard]] inline std::unexpected<Error> fail(ErrorKind kind, std::string text) {
    std::string copy = text;
    return std::unexpected(Error{kind, std::move(text), std::move(copy)});
}
[[nodiscard]] inline std::unexpected<Error> fail(ErrorKind kind, std::string public_text,
                                                 std::string detail) {
    return std::unexpected(Error{kind, std::move(public_text), std::move(detail)});
}

std::string_view name(ErrorKind kind);

/// Ends the process with a message. For states that no outside input can reach.
[[noreturn]] void bug(std::string_view what, const char* file, int line);

}  // namespace muster

/// Aborts when `condition` is false, in every build. Never reachable from outside input.
#define MUSTER_CHECK(condition)                            \
    do {                                                   \
        if (!(condition)) [[unlikely]]                     \
            ::muster::bug(#condition, __FILE__, __LINE__); \
    } while (false)
