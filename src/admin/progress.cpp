#include "admin/progress.h"

#include <unistd.h>

#include <cstdio>

namespace muster::admin {
namespace {

constexpr auto kQuiet = std::chrono::seconds(2);
constexpr auto kEveryOnTerminal = std::chrono::milliseconds(200);
constexpr auto kEvery = std::chrono::seconds(10);

}  // namespace

Progress::Progress() : terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
    if (shown_ && terminal_) std::fputs("\r\x1b[K", stderr);
}

void Progress::tell(const std::string& text) {
    const auto now = Clock::now();
    if (now - began_ < kQuiet) return;
    if (shown_ && now - told_ < (terminal_ ? Clock::duration(kEveryOnTerminal) : kEvery)) return;
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
