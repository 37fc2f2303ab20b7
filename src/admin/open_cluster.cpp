#include "admin/open_cluster.h"

#include <algorithm>
#include <sstream>
#include <utility>

namespace muster::admin {
namespace {

using Lines = std::vector<std::string>;

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kBlank = " \t\r";
    const auto from = text.find_first_not_of(kBlank);
    if (from == text.npos) return {};
    return text.substr(from, text.find_last_not_of(kBlank) - from + 1);
}

std::string in_quotes(std::string_view text) { return '"' + std::string(text) + '"'; }

std::string list(const std::vector<std::string>& items) {
    std::string text;
    for (const std::string& item : items) text += (text.empty() ? "" : ", ") + in_quotes(item);
    return "[" + text + "]";
}

bool sets(std::string_view line, std::string_view option) {
    line = trimmed(line);
    return line.starts_with(option) && trimmed(line.substr(option.size())).starts_with('=');
}

/// How many lines an option takes: a list may go on until its bracket.
std::size_t length_of(const Lines& lines, std::size_t at) {
    std::size_t count = 1;
    if (!lines[at].contains('[')) return count;
    while (!lines[at + count - 1].contains(']') && at + count < lines.size()) ++count;
    return count;
}

void set_option(Lines& lines, std::string_view option, const std::string& value) {
    const std::string line = std::string(option) + " = " + value;
    auto section = std::ranges::find_if(
        lines, [](const std::string& one) { return trimmed(one).starts_with("[cluster]"); });
    if (section == lines.end()) {
        lines.emplace_back("[cluster]");
        section = lines.end() - 1;
    }
    for (auto at = section + 1; at != lines.end() && !trimmed(*at).starts_with('['); ++at) {
        if (!sets(*at, option)) continue;
        const auto index = static_cast<std::size_t>(at - lines.begin());
        const auto count = static_cast<std::ptrdiff_t>(length_of(lines, index));
        *at = line;
        lines.erase(at + 1, at + count);
        return;
    }
    lines.insert(section + 1, line);
}

}  // namespace

std::string with_cluster_open(std::string_view text, const ClusterOpening& opening) {
    Lines lines;
    std::istringstream stream{std::string(text)};
    for (std::string line; std::getline(stream, line);) lines.push_back(std::move(line));
    if (!opening.allow.empty()) set_option(lines, "allow", list(opening.allow));
    if (!opening.advertise.empty()) set_option(lines, "advertise", in_quotes(opening.advertise));
    set_option(lines, "listen", in_quotes(opening.listen));
    std::string changed;
    for (const std::string& line : lines) changed += line + "\n";
    return changed;
}

}  // namespace muster::admin
