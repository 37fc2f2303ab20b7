#include "wire/capabilities.h"

#include <algorithm>
#include <array>

#include "wire/ascii.h"
#include "wire/sasl.h"

namespace muster::wire {
namespace {

bool before(const Capability& entry, std::string_view name) {
    return compare_folded(entry.name, name) < 0;
}

bool contains_word(std::string_view words, std::string_view wanted) {
    for (auto word = take_word(words); !word.empty(); word = take_word(words))
        if (equal_folded(word, wanted)) return true;
    return false;
}

std::string common_words(std::string_view a, std::string_view b) {
    std::string common;
    for (auto word = take_word(a); !word.empty(); word = take_word(a)) {
        if (!contains_word(b, word)) continue;
        if (!common.empty()) common += ' ';
        common += word;
    }
    return common;
}

}  // namespace

Capabilities Capabilities::from_lines(std::span<const std::string> lines) {
    Capabilities all;
    for (std::string_view line : lines) {
        auto name = take_until(line, ' ');
        all.set(name, line);
    }
    return all;
}

std::vector<std::string> Capabilities::lines() const {
    std::vector<std::string> lines;
    lines.reserve(entries_.size());
    for (const auto& entry : entries_)
        lines.push_back(entry.value.empty() ? entry.name : entry.name + ' ' + entry.value);
    return lines;
}

void Capabilities::set(std::string_view name, std::string_view value) {
    value = trim_spaces(value);
    if (name.empty() || !std::ranges::all_of(name, is_graphic) || !fits_a_line(value)) return;
    auto at = std::ranges::lower_bound(
        entries_, 0, {}, [&](const Capability& entry) { return compare_folded(entry.name, name); });
    if (at != entries_.end() && equal_folded(at->name, name)) {
        at->value = value;
        return;
    }
    entries_.insert(at, {std::string(name), std::string(value)});
}

void Capabilities::remove(std::string_view name) {
    std::erase_if(entries_, [&](const auto& entry) { return equal_folded(entry.name, name); });
}

bool Capabilities::has(std::string_view name) const {
    auto at = std::lower_bound(entries_.begin(), entries_.end(), name, before);
    return at != entries_.end() && equal_folded(at->name, name);
}

std::string_view Capabilities::value(std::string_view name) const {
    auto at = std::lower_bound(entries_.begin(), entries_.end(), name, before);
    if (at == entries_.end() || !equal_folded(at->name, name)) return {};
    return at->value;
}

bool Capabilities::has_word(std::string_view name, std::string_view word) const {
    return contains_word(value(name), word);
}

Capabilities intersect(const Capabilities& a, const Capabilities& b) {
    Capabilities common;
    for (const auto& entry : a.entries()) {
        if (!b.has(entry.name)) continue;
        auto other = b.value(entry.name);
        auto words = common_words(entry.value, other);
        if (words.empty() && !(entry.value.empty() && other.empty())) continue;
        common.set(entry.name, words);
    }
    return common;
}

std::string routable_mechanisms(std::string_view words, const Offer& offer) {
    using sasl::Mechanism;
    static constexpr std::array kOrder{Mechanism::Plain,       Mechanism::Login,
                                       Mechanism::ScramSha256, Mechanism::ScramSha1,
                                       Mechanism::OAuthBearer, Mechanism::XOAuth2};
    std::string mechanisms;
    for (auto mechanism : kOrder) {
        auto needed = mechanism == Mechanism::Login ? Mechanism::Plain : mechanism;
        if (!contains_word(words, sasl::name(needed))) continue;
        if (sasl::reveals_secret(mechanism) ? !offer.passwords() : !offer.scram) continue;
        if (!mechanisms.empty()) mechanisms += ' ';
        mechanisms += sasl::name(mechanism);
    }
    return mechanisms;
}

}  // namespace muster::wire
