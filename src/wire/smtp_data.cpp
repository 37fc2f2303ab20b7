#include "wire/smtp_data.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace muster::wire::smtp {
namespace {

constexpr auto kNone = std::string_view::npos;

/// memchr(): find() of string_view does the same, but not in every build.
std::size_t find_octet(std::string_view text, char c, std::size_t from) {
    if (from >= text.size()) return kNone;
    const void* found = std::memchr(text.data() + from, c, text.size() - from);
    return found == nullptr
               ? kNone
               : static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

/// Whether some octet of `text` is LF without CR before it, CR (but for the last octet) without LF
/// behind it, NUL, or 8-bit. Every octet is looked at, so that the compiler makes vectors of it:
/// branches would cost ten times as much.
struct Suspicion {
    bool line_ends = false;
    bool nul = false;
    bool eight_bit = false;
};
Suspicion suspect(std::string_view text, char before) {
    const auto* octets = reinterpret_cast<const unsigned char*>(text.data());
    unsigned char ends = static_cast<unsigned char>((before == '\r') != (octets[0] == '\n'));
    unsigned char nul = octets[0] == 0;
    unsigned char high = octets[0];
    for (std::size_t i = 1; i < text.size(); ++i) {
        ends |= static_cast<unsigned char>((octets[i - 1] == '\r') ^ (octets[i] == '\n'));
        nul |= static_cast<unsigned char>(octets[i] == 0);
        high |= octets[i];
    }
    return {.line_ends = ends != 0, .nul = nul != 0, .eight_bit = high > 0x7f};
}

}  // namespace

void BareCheck::add(std::string_view chunk) {
    if (chunk.empty()) return;
    auto suspicion = suspect(chunk, last_);
    findings_.nul |= suspicion.nul;
    findings_.eight_bit |= suspicion.eight_bit;
    if (suspicion.line_ends && !(findings_.bare_cr && findings_.bare_lf)) {
        for (char c : chunk) {
            findings_.bare_lf |= c == '\n' && last_ != '\r';
            findings_.bare_cr |= c != '\n' && last_ == '\r';
            last_ = c;
        }
    }
    last_ = chunk.back();
}

void BareCheck::finish() {
    findings_.bare_cr |= last_ == '\r';
    last_ = '\0';
}

std::uint64_t DataScanner::longest_line() const { return std::max(longest_, line_); }

void DataScanner::append(std::string_view bytes, std::string& out) {
    out += bytes;
    size_ += bytes.size();
}

/// The octet after CRLF, or after a dot there, or after dot and CR. True if it was taken (or ended
/// the message); else the line goes on with it.
bool DataScanner::take_first(char c, std::string& out) {
    switch (state_) {
        case State::LineStart:
            if (c != '.') break;
            state_ = State::Dot;
            return true;
        case State::Dot:
            if (c != '\r') break;
            state_ = State::DotCr;
            return true;
        case State::DotCr:
            done_ = c == '\n';
            if (done_) return true;
            append("\r", out);
            ++line_;
            break;
        case State::Inside:
        case State::InsideCr: return false;
    }
    state_ = state_ == State::DotCr ? State::InsideCr : State::Inside;
    return false;
}

/// Takes lines up to the first that begins with a dot, or all. Returns how many octets.
std::size_t DataScanner::take_lines(std::string_view chunk, std::string& out) {
    std::size_t begin = 0;  // of the current line
    std::size_t taken = chunk.size();
    bool cr_before = state_ == State::InsideCr;
    state_ = chunk.back() == '\r' ? State::InsideCr : State::Inside;
    for (auto lf = find_octet(chunk, '\n', 0); lf != kNone; lf = find_octet(chunk, '\n', begin)) {
        bool crlf = lf == 0 ? cr_before : chunk[lf - 1] == '\r';
        longest_ = std::max(longest_, std::exchange(line_, 0) + (lf + 1 - begin));
        begin = lf + 1;
        if (!crlf) continue;
        if (begin == chunk.size()) state_ = State::LineStart;
        if (begin == chunk.size() || chunk[begin] != '.') continue;
        state_ = State::LineStart;
        taken = begin;
        break;
    }
    line_ += taken - begin;
    append(chunk.substr(0, taken), out);
    return taken;
}

std::size_t DataScanner::feed(std::string_view chunk, std::string& out) {
    std::size_t taken = 0;
    while (taken < chunk.size() && !done_) {
        if (take_first(chunk[taken], out)) {
            ++taken;
        } else {
            taken += take_lines(chunk.substr(taken), out);
        }
    }
    check_.add(chunk.substr(0, taken));
    return taken;
}

/// Without bare CR and LF: only dots are looked for.
void DotStuffer::feed_clean(std::string_view chunk, std::string& out) {
    if (std::exchange(cr_, false)) out += '\r';  // its LF is the chunk's first octet
    if (line_start_ && chunk.front() == '.') out += '.';
    std::size_t written = 0;
    for (auto lf = find_octet(chunk, '\n', 0); lf != kNone; lf = find_octet(chunk, '\n', lf + 1)) {
        if (lf + 1 == chunk.size() || chunk[lf + 1] != '.') continue;
        out += chunk.substr(written, lf + 1 - written);
        out += '.';
        written = lf + 1;
    }
    line_start_ = chunk.back() == '\n';
    cr_ = chunk.back() == '\r';
    out += chunk.substr(written, chunk.size() - written - (cr_ ? 1 : 0));
}

void DotStuffer::feed_normalised(std::string_view chunk, std::string& out) {
    for (char c : chunk) {
        bool after_cr = std::exchange(cr_, c == '\r');
        if (after_cr || c == '\n') {
            out += "\r\n";
            line_start_ = true;
        }
        if (c == '\r' || c == '\n') continue;
        if (std::exchange(line_start_, false) && c == '.') out += '.';
        out += c;
    }
}

void DotStuffer::feed(std::string_view chunk, std::string& out) {
    if (chunk.empty()) return;
    if (suspect(chunk, cr_ ? '\r' : '\0').line_ends) {
        feed_normalised(chunk, out);
    } else {
        feed_clean(chunk, out);
    }
}

void DotStuffer::finish(std::string& out) {
    if (cr_ || !line_start_) out += "\r\n";
    out += ".\r\n";
}

}  // namespace muster::wire::smtp
