#pragma once
// Bounded lines and exact byte counts from a Stream.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/stream.h"

namespace muster::net {

/// A line that was too long, or held a NUL or a bare CR.
enum class LineFault : std::uint8_t { None, TooLong, BadByte };

struct Line {
    std::string_view text;  ///< without its CRLF or LF; valid until the next read
    LineFault fault = LineFault::None;
    bool bare_lf = false;  ///< it ended with LF alone
};

/// Reads a stream by lines during the phases before the pump; what it read ahead is handed on by
/// take_rest(). Lives on the stream's thread; the stream must outlive it.
class LineReader {
public:
    explicit LineReader(Stream& stream) : stream_(stream) {}

    /// The next line, of at most `limit` bytes without its end; empty when the stream ended. A
    /// faulty line is reported at once and not read to its end: the conversation cannot go on.
    Task<std::optional<Line>> line(std::size_t limit);
    /// Exactly `count` bytes; empty when the stream ended before. Keep `count` bounded.
    Task<std::optional<std::string>> exactly(std::size_t count);

    /// What waits, or what comes next (at most `most` bytes a time); empty at the end of the
    /// stream. Stays until consume(); valid until the next call.
    Task<std::string_view> some(std::size_t most);
    /// The first `count` bytes of what some() gave were used.
    void consume(std::size_t count);

    /// True when a whole line waits: reading it needs no more of the stream.
    [[nodiscard]] bool has_line() const { return buffer_.find('\n', begin_) != std::string::npos; }
    /// True when bytes wait that were sent ahead of our answer (pipelining).
    [[nodiscard]] bool has_more() const { return begin_ < buffer_.size(); }
    /// Octets read so far, and those of them that nobody has taken yet.
    [[nodiscard]] std::uint64_t received() const { return received_; }
    [[nodiscard]] std::size_t waiting() const { return buffer_.size() - begin_; }
    /// What was read ahead, and forgets it: goes to the pump, or into the void at STARTTLS.
    std::string take_rest();

private:
    /// Reads more; false at the end of the stream.
    Task<bool> fill(std::size_t chunk = kChunk);

    static constexpr std::size_t kChunk = 2048;

    Stream& stream_;
    std::string buffer_;
    std::size_t begin_ = 0;
    std::uint64_t received_ = 0;
};

}  // namespace muster::net
