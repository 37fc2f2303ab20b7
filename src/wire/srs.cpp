#include "wire/srs.h"

#include <algorithm>
#include <vector>

#include "base/password.h"
#include "base/seal.h"
#include "wire/ascii.h"

namespace muster::wire::srs {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr std::size_t kTagLength = 6;
constexpr std::size_t kDayLength = 2;
constexpr std::uint64_t kDayCycle = 1024;
constexpr std::size_t kPrefix = 5;  ///< `SRS0=`; other implementations begin with + or -, too

bool begins(std::string_view local, char generation) {
    if (local.size() < kPrefix || !starts_folded(local, "SRS")) return false;
    return local[3] == generation && std::string_view("=+-").contains(local[4]);
}

std::string day_text(std::uint64_t day) {
    day %= kDayCycle;
    return {kAlphabet[day / 32], kAlphabet[day % 32]};
}

std::optional<std::uint64_t> read_day(std::string_view text) {
    if (text.size() != kDayLength) return std::nullopt;
    std::uint64_t day = 0;
    for (const char c : text) {
        const std::size_t value = kAlphabet.find(upper(c));
        if (value == kAlphabet.npos) return std::nullopt;
        day = day * 32 + value;
    }
    return day;
}

/// Of texts that differ in case only it is the same.
std::string tag(std::string_view key, std::string_view what) {
    std::string folded(what);
    for (char& c : folded) c = lower(c);
    const std::string mac = hmac_sha256(key, "srs " + folded);
    std::string text;
    for (std::size_t i = 0; i < kTagLength; ++i) {
        text += kAlphabet[static_cast<unsigned char>(mac[i]) % kAlphabet.size()];
    }
    return text;
}

bool is_tag_of(std::string_view given, std::string_view what, std::span<const std::string> keys) {
    const std::string raised = to_upper(given);
    return std::ranges::any_of(keys, [&](const std::string& key) {
        return equal_in_constant_time(raised, tag(key, what));
    });
}

std::string_view take(std::string_view& text) {
    const std::size_t end = std::min(text.find('='), text.size());
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return part;
}

/// What stands behind the tag of an SRS1: `HOST=` and the rest of an SRS0 with its separator.
std::string_view behind_tag(std::string_view srs1) {
    srs1.remove_prefix(kPrefix);
    take(srs1);
    return srs1;
}

Reversed led_to(std::string local, std::string_view domain) {
    smtp::Path path{.local = std::move(local), .domain = std::string(domain)};
    const auto again = smtp::parse_address(path.text());
    if (!again || again->local != path.local || again->domain != path.domain) {
        return {Verdict::Forged, {}};
    }
    return {Verdict::Good, *again};
}

Reversed reversed_once(std::string_view rest, std::span<const std::string> keys,
                       std::uint64_t today) {
    const std::string_view given = take(rest);
    const std::string_view signed_text = rest;
    const auto day = read_day(take(rest));
    const std::string_view domain = take(rest);
    if (!day || domain.empty() || rest.empty() || !is_tag_of(given, signed_text, keys)) {
        return {Verdict::Forged, {}};
    }
    // A day more: made where it is tomorrow already.
    const std::uint64_t age = (today + 1 + kDayCycle - *day) % kDayCycle;
    if (age > kValidDays + 1) return {Verdict::Expired, {}};
    return led_to(std::string(rest), domain);
}

/// SRS1 has no place for a day of ours: the tag is also over the span of days that it was made in.
std::string in_span(std::string_view what, std::uint64_t day) {
    return std::string(what) + " in " + std::to_string(day / kValidDays);
}

/// To the forwarder before us, as it wrote its own.
Reversed reversed_twice(std::string_view rest, std::span<const std::string> keys,
                        std::uint64_t today) {
    const std::string_view given = take(rest);
    const std::string_view signed_text = rest;
    const std::string_view domain = take(rest);
    const bool leads = !rest.empty() && std::string_view("=+-").contains(rest.front());
    // Of this span or the one before; or of tomorrow's, made where it is tomorrow already.
    const bool is_ours = is_tag_of(given, in_span(signed_text, today), keys) ||
                         is_tag_of(given, in_span(signed_text, today - kValidDays), keys) ||
                         is_tag_of(given, in_span(signed_text, today + 1), keys);
    if (domain.empty() || !leads || !is_ours) return {Verdict::Forged, {}};
    return led_to("SRS0" + std::string(rest), domain);
}

}  // namespace

bool is_rewritten(std::string_view local) { return begins(local, '0') || begins(local, '1'); }

std::optional<smtp::Path> forwarded(const smtp::Path& sender, std::string_view domain,
                                    std::string_view key, std::uint64_t day) {
    if (sender.local.empty() || sender.domain.empty()) return std::nullopt;
    std::string what;
    const char* generation = "SRS1=";
    if (begins(sender.local, '0')) {
        what = sender.domain + '=' + sender.local.substr(kPrefix - 1);
    } else if (begins(sender.local, '1')) {
        what = behind_tag(sender.local);
    } else {
        generation = "SRS0=";
        what = day_text(day) + '=' + sender.domain + '=' + sender.local;
    }
    const bool has_day = generation[3] == '0';
    smtp::Path path{
        .local = generation + tag(key, has_day ? what : in_span(what, day)) + '=' + what,
        .domain = std::string(domain),
        .utf8 = sender.utf8};
    if (!smtp::parse_address(path.text())) return std::nullopt;
    return path;
}

Reversed reversed(std::string_view local, std::span<const std::string> keys, std::uint64_t day) {
    if (begins(local, '0')) return reversed_once(local.substr(kPrefix), keys, day);
    if (begins(local, '1')) return reversed_twice(local.substr(kPrefix), keys, day);
    return {};
}

}  // namespace muster::wire::srs
