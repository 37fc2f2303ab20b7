#pragma once
// Quoted strings and literals, as IMAP (RFC 3501, 7888) and ManageSieve (RFC 5804) share them.
//
// A command arrives as lines and literals. CommandAssembler keeps them as they stood on the wire
// (`a LOGIN {5}` CRLF `alice {6+}` CRLF `secret`); StringReader reads strings out of such a text.
// A line without literals needs no assembler: read it in place.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace muster::wire {

/// The announcement `{N}` (synchronising: the client waits for `+`) or `{N+}` at a line's end.
struct Literal {
    /// Announced octets. What does not fit 32 bits reads as the maximum; it never wraps.
    std::uint32_t size = 0;
    bool synchronising = true;

    /// A refused synchronising literal costs nothing: its bytes are never sent. After a refused
    /// non-synchronising one the connection has to be closed.
    [[nodiscard]] bool fits(std::uint32_t limit) const { return size <= limit; }
    friend bool operator==(const Literal&, const Literal&) = default;
};

inline constexpr std::uint32_t kLiteralTooLarge = std::numeric_limits<std::uint32_t>::max();

/// Whether a line (without CRLF) ends with a literal's announcement outside a quoted string.
/// Syntax error: it ends with `{…}` but not with a valid announcement after a space or bracket.
Result<std::optional<Literal>> trailing_literal(std::string_view line);

struct CommandLimits {
    std::size_t total = 16384;  ///< all lines and literals together
    std::uint32_t literal = 8192;
    unsigned literals = 8;
};

/// Collects one command of lines and literals. Owned by a session, reused with clear().
class CommandAssembler {
public:
    explicit CommandAssembler(CommandLimits limits = {}) : limits_(limits) {}

    /// Adds a line without CRLF. The result tells which literal follows; none: the command is
    /// complete. ErrorKind::Limit: too long; refused_literal() tells whether bytes will follow.
    Result<std::optional<Literal>> add_line(std::string_view line);
    /// Adds the announced bytes; their number must be exactly the announced one.
    Result<> add_literal(std::string_view bytes);
    /// The announcement that was too large or one too many, if that was the failure.
    [[nodiscard]] std::optional<Literal> refused_literal() const { return refused_; }

    [[nodiscard]] std::string_view text() const { return text_; }
    void clear();

private:
    CommandLimits limits_;
    std::string text_;
    unsigned literals_ = 0;
    std::uint32_t awaited_ = 0;
    std::optional<Literal> refused_;
};

/// Reads strings out of a command's text. Returned views point into the text, or, for quoted
/// strings with escapes, into the reader: they live as long as both.
class StringReader {
public:
    explicit StringReader(std::string_view text) : rest_(text) {}
    StringReader(const StringReader&) = delete;
    StringReader& operator=(const StringReader&) = delete;

    [[nodiscard]] bool at_end() const { return rest_.empty(); }
    [[nodiscard]] char peek() const { return rest_.empty() ? '\0' : rest_.front(); }
    [[nodiscard]] std::string_view rest() const { return rest_; }
    /// Consumes `c` if it stands next.
    bool skip(char c);
    void skip_spaces();
    /// Consumes the longest run of characters for which `wanted` holds.
    template <typename Predicate>
    std::string_view take_while(Predicate wanted) {
        std::size_t size = 0;
        while (size < rest_.size() && wanted(rest_[size])) ++size;
        return advance(size);
    }

    /// `"…"` with `\"` and `\\`; 8-bit octets pass (UTF-8), NUL, CR and LF do not.
    Result<std::string_view> quoted(std::size_t limit);
    /// `{N}` or `{N+}`, CRLF and N octets.
    Result<std::string_view> literal(std::size_t limit);
    /// One of the two above.
    Result<std::string_view> string(std::size_t limit);

private:
    std::string_view advance(std::size_t size);
    std::string_view unescape(std::string_view escaped);

    std::string_view rest_;
    std::string unescaped_;  ///< reserved once for the whole text, so views into it stay valid
};

/// Appends `"…"` with escapes. The text must satisfy fits_a_line().
void append_quoted(std::string& out, std::string_view text);

}  // namespace muster::wire
