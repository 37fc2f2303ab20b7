#pragma once
// Message text on an SMTP connection: what follows DATA (read and written), and the check of its
// line ends, which also holds for BDAT. RFC 5321, 2.3.8 and 4.5.2.
//
// A line ends with CRLF and with nothing else. Servers that also took a bare LF or CR could be
// made to see a second message inside the first ("SMTP smuggling", CVE-2023-51764 to -51766):
// here only CRLF `.` CRLF ends a message, and bare CR or LF is reported, so that the session can
// refuse the message after it was read to its real end.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace muster::wire::smtp {

/// What a message's octets have that its transport may not stand.
struct Findings {
    bool bare_cr = false;  ///< CR without LF behind it
    bool bare_lf = false;  ///< LF without CR before it
    bool nul = false;
    bool eight_bit = false;  ///< some octet over 127: needs 8BITMIME

    [[nodiscard]] bool bare() const { return bare_cr || bare_lf; }
    friend bool operator==(const Findings&, const Findings&) = default;
};

/// Looks for bare CR, bare LF and NUL in a stream that comes in chunks: BDAT's chunks, one after
/// the other. Reads ahead nowhere; some gigabytes a second.
class BareCheck {
public:
    void add(std::string_view chunk);
    /// The stream is over: a CR at its end was bare.
    void finish();
    [[nodiscard]] const Findings& findings() const { return findings_; }

private:
    Findings findings_;
    char last_ = '\0';
};

/// Reads what follows DATA. One for each message; any cutting into chunks gives the same.
class DataScanner {
public:
    /// Takes octets from the front of `chunk`, appends the message's (dots unstuffed, without the
    /// final dot line) to `out` and returns how many were taken: all of them until done(), then
    /// those up to the end of the final dot line; the rest are the next command's. `out` may be
    /// emptied between calls: at most 1 octet more is appended than was taken. A session that no
    /// longer wants the message (too large, no disk) goes on with feed() and drops what it gets.
    std::size_t feed(std::string_view chunk, std::string& out);

    [[nodiscard]] bool done() const { return done_; }
    [[nodiscard]] const Findings& findings() const { return check_.findings(); }
    [[nodiscard]] std::uint64_t size() const { return size_; }  ///< octets appended so far
    /// The longest line so far in octets, CRLF included, after unstuffing. Servers may refuse more
    /// than 1000 (4.5.3.1.6); nothing is done about it here.
    [[nodiscard]] std::uint64_t longest_line() const;

private:
    /// Where in a line the stream stands. LineStart, Dot and DotCr only after CRLF or at the very
    /// beginning; what Dot and DotCr hold back is not appended yet.
    enum class State { LineStart, Dot, DotCr, Inside, InsideCr };

    bool take_first(char c, std::string& out);
    std::size_t take_lines(std::string_view chunk, std::string& out);
    void append(std::string_view bytes, std::string& out);

    BareCheck check_;
    State state_ = State::LineStart;
    bool done_ = false;
    std::uint64_t size_ = 0;
    std::uint64_t line_ = 0;  ///< octets of the current line
    std::uint64_t longest_ = 0;
};

/// Writes a message as it stands after DATA: dots stuffed, CRLF at the end, the final dot line.
/// Bare CR and LF, which no message should have by now, become CRLF: whatever goes in, what comes
/// out is one message for every server. One for each message.
class DotStuffer {
public:
    void feed(std::string_view chunk, std::string& out);
    /// Appends the missing CRLF, if any, and `.` CRLF.
    void finish(std::string& out);

private:
    void feed_clean(std::string_view chunk, std::string& out);
    void feed_normalised(std::string_view chunk, std::string& out);

    bool line_start_ = true;
    bool cr_ = false;  ///< a CR is held back: is it bare?
};

}  // namespace muster::wire::smtp
