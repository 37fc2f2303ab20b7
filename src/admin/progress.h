#pragma once
// How far something has come, on standard error, once it takes a while (two seconds).

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace muster::admin {

/// On a terminal one line that is written over; elsewhere a line every ten seconds, or as often as
/// asked for (from the beginning; 0: all there is to tell).
class Progress {
public:
    explicit Progress(std::optional<std::chrono::seconds> every = std::nullopt);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    void tell(const std::string& text);

private:
    using Clock = std::chrono::steady_clock;
    Clock::time_point began_ = Clock::now();
    Clock::time_point told_{};
    std::optional<std::chrono::seconds> every_;
    bool terminal_;
    bool shown_ = false;
};

/// "1,234,567"
std::string with_commas(std::uint64_t number);

}  // namespace muster::admin
