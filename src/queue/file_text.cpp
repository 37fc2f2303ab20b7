#include "queue/file_text.h"

#include <algorithm>
#include <charconv>

namespace muster::queue {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";

bool plain(char c, bool spaces) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte > 0x20 && byte != 0x7f && byte != '%') || (spaces && byte == ' ');
}

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

/// Exactly `width` decimal digits at `at`; -1 for others.
int digits(std::string_view text, std::size_t at, std::size_t width) {
    int value = 0;
    for (const char c : text.substr(at, width)) {
        if (c < '0' || c > '9') return -1;
        value = value * 10 + (c - '0');
    }
    return value;
}

}  // namespace

void append_escaped(std::string& out, std::string_view value, bool spaces) {
    std::size_t at = 0;
    while (at < value.size()) {
        std::size_t end = at;
        while (end < value.size() && plain(value[end], spaces)) ++end;
        out.append(value, at, end - at);
        if (end == value.size()) return;
        const auto byte = static_cast<unsigned char>(value[end]);
        out += '%';
        out += kHex[byte >> 4];
        out += kHex[byte & 15];
        at = end + 1;
    }
}

bool unescape(std::string_view text, std::string& out) {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t percent = std::min(text.find('%', at), text.size());
        out.append(text, at, percent - at);
        if (percent == text.size()) return true;
        if (percent + 2 >= text.size()) return false;
        const int high = hex_value(text[percent + 1]);
        const int low = hex_value(text[percent + 2]);
        if (high < 0 || low < 0) return false;
        out += static_cast<char>(high << 4 | low);
        at = percent + 3;
    }
    return true;
}

void append_time(std::string& out, Time time) {
    using namespace std::chrono;
    constexpr Time kLast{milliseconds(253'402'300'799'999)};  // the end of 9999
    time = std::clamp(time, Time{}, kLast);
    const sys_days day = floor<days>(time);
    const year_month_day date(day);
    const hh_mm_ss clock(time - day);
    append_padded(out, static_cast<std::uint64_t>(static_cast<int>(date.year())), 4, 10);
    out += '-';
    append_padded(out, static_cast<unsigned>(date.month()), 2, 10);
    out += '-';
    append_padded(out, static_cast<unsigned>(date.day()), 2, 10);
    out += 'T';
    append_padded(out, static_cast<std::uint64_t>(clock.hours().count()), 2, 10);
    out += ':';
    append_padded(out, static_cast<std::uint64_t>(clock.minutes().count()), 2, 10);
    out += ':';
    append_padded(out, static_cast<std::uint64_t>(clock.seconds().count()), 2, 10);
    out += '.';
    append_padded(out, static_cast<std::uint64_t>(clock.subseconds().count()), 3, 10);
    out += 'Z';
}

bool read_time(std::string_view text, Time& out) {
    using namespace std::chrono;
    if (text.size() != 24 || text[4] != '-' || text[7] != '-' || text[10] != 'T' ||
        text[13] != ':' || text[16] != ':' || text[19] != '.' || text[23] != 'Z') {
        return false;
    }
    const int hour = digits(text, 11, 2);
    const int minute = digits(text, 14, 2);
    const int second = digits(text, 17, 2);
    const int fraction = digits(text, 20, 3);
    const int numbered_year = digits(text, 0, 4);
    const int numbered_month = digits(text, 5, 2);
    const int numbered_day = digits(text, 8, 2);
    if (numbered_year < 1970 || numbered_month < 1 || numbered_day < 1) return false;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60 ||
        fraction < 0) {
        return false;
    }
    const year_month_day date(year(numbered_year), month(static_cast<unsigned>(numbered_month)),
                              day(static_cast<unsigned>(numbered_day)));
    if (!date.ok()) return false;
    out = sys_days(date) + hours(hour) + minutes(minute) + seconds(second) + milliseconds(fraction);
    return true;
}

void append_padded(std::string& out, std::uint64_t value, std::size_t width, unsigned base) {
    const std::size_t start = out.size();
    out.resize(start + width, '0');
    for (std::size_t i = width; i-- > 0 && value != 0; value /= base) {
        out[start + i] = kHex[value % base];
    }
}

}  // namespace muster::queue
