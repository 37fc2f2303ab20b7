#include "wire/mta_sts.h"

#include <algorithm>

#include "wire/ascii.h"
#include "wire/smtp.h"
#include "wire/utf8.h"

namespace muster::wire::mta_sts {
namespace {

constexpr std::size_t kMaxId = 32;  // RFC 8461, 3.1

std::string_view trim(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r";
    auto first = text.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// `v=STSv1; id=…;`: the id. Other fields are ignored.
std::optional<std::string> read_id(std::string_view record) {
    if (trim(take_until(record, ';')) != "v=STSv1") return std::nullopt;
    while (!record.empty()) {
        auto value = trim(take_until(record, ';'));
        if (trim(take_until(value, '=')) != "id") continue;
        auto id = trim(value);
        bool fine = !id.empty() && id.size() <= kMaxId &&
                    std::ranges::all_of(id, [](char c) { return is_letter(c) || is_digit(c); });
        return fine ? std::optional(std::string(id)) : std::nullopt;
    }
    return std::nullopt;
}

std::string folded(std::string_view host) {
    if (host.ends_with('.')) host.remove_suffix(1);
    std::string out(host);
    std::ranges::transform(out, out.begin(), lower);
    return out;
}

bool is_pattern(std::string_view text) {
    if (text.starts_with("*.")) text.remove_prefix(2);
    return is_ascii(text) && smtp::is_domain(text);
}

std::optional<Mode> read_mode(std::string_view text) {
    if (text == "enforce") return Mode::Enforce;
    if (text == "testing") return Mode::Testing;
    if (text == "none") return Mode::None;
    return std::nullopt;
}

/// What the lines said, as text; the first of each key.
struct Keys {
    std::optional<std::string_view> version;
    std::optional<std::string_view> mode;
    std::optional<std::string_view> max_age;
    std::vector<std::string> patterns;

    Result<> add(std::string_view key, std::string_view value) {
        if (key == "version" && !version) version = value;
        if (key == "mode" && !mode) mode = value;
        if (key == "max_age" && !max_age) max_age = value;
        if (key != "mx") return {};
        auto pattern = folded(value);
        if (!is_pattern(pattern)) return fail(ErrorKind::Syntax, "invalid mx in MTA-STS policy");
        if (patterns.size() == kMaxPatterns)
            return fail(ErrorKind::Limit, "too many mx in MTA-STS policy");
        patterns.push_back(std::move(pattern));
        return {};
    }
};

}  // namespace

std::optional<std::string> record_id(std::span<const std::string> records) {
    constexpr std::string_view kVersion = "v=STSv1";
    std::optional<std::string> id;
    unsigned found = 0;
    for (std::string_view record : records) {
        auto version = record;
        if (trim(take_until(version, ';')) != kVersion || !record.contains(';')) continue;
        ++found;
        id = read_id(record);
    }
    return found == 1 ? id : std::nullopt;
}

Result<Policy> parse_policy(std::string_view text) {
    if (text.size() > kMaxPolicy) return fail(ErrorKind::Limit, "MTA-STS policy too long");
    Keys keys;
    while (!text.empty()) {
        auto line = take_until(text, '\n');
        auto key = trim(take_until(line, ':'));
        if (auto added = keys.add(key, trim(line)); !added) return std::unexpected(added.error());
    }
    if (keys.version != "STSv1") return fail(ErrorKind::Syntax, "MTA-STS policy of no version");
    auto mode = read_mode(keys.mode.value_or(""));
    if (!mode) return fail(ErrorKind::Syntax, "MTA-STS policy without a mode");
    auto age = parse_number(keys.max_age.value_or(""));
    if (!age) return fail(ErrorKind::Syntax, "MTA-STS policy without max_age");
    if (*mode != Mode::None && keys.patterns.empty())
        return fail(ErrorKind::Syntax, "MTA-STS policy without mx");
    auto longest = static_cast<std::uint64_t>(kMaxAge.count());
    return Policy{.mode = *mode,
                  .max_age = std::chrono::seconds(std::min(*age, longest)),
                  .patterns = std::move(keys.patterns)};
}

bool allows(const Policy& policy, std::string_view host) {
    auto name = folded(host);
    auto dot = name.find('.');
    return std::ranges::any_of(policy.patterns, [&](std::string_view pattern) {
        if (!pattern.starts_with("*.")) return pattern == name;
        return dot != 0 && dot != std::string::npos && pattern.substr(1) == name.substr(dot);
    });
}

}  // namespace muster::wire::mta_sts
