#include "admin/progress.h"

#include <unistd.h>

#include <cstdio>

namespace muster::admin {
namespace {

constexpr auto kQuiet = std::chrono::seconds(2);
constexpr auto kEveryOnTerminal = std::chrono::milliseconds(200);
constexpr auto kEvery = std::chrono::seconds(10);

}  // namespace

Progress::Progress(std::optional<std::chrono::seconds> every)
    : every_(every), terminal_(!every && ::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
    if (shown_ && terminal_) std::fputs("\r\x1b[K", stderr);
}

void Progress::tell(const std::string& text) {
    const auto now = Clock::now();
    const Clock::duration usual = terminal_ ? Clock::duration(kEveryOnTerminal) : kEvery;
    if (now - began_ < every_.value_or(kQuiet)) return;
    if (shown_ && now - told_ < (every_ ? Clock::duration(*every_) : usual)) return;
    told_ = now;
    shown_ = true;
    std::fprintf(stderr, terminal_ ? "\r\x1b[K%s" : "%s\n", text.c_str());
    std::fflush(stderr);
}

std::string with_commas(std::uint64_t number) {
    std::string text = std::to_string(number);
    for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
    return text;
}

}  // namespace muster::admin
