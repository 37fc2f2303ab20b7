#pragma once
// How far something has come, on standard error, once it takes longer than two seconds.

#include <chrono>
#include <string>

namespace muster::admin {

/// On a terminal one line that is written over; elsewhere a line every ten seconds.
class Progress {
public:
    Progress();
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    void tell(const std::string& text);

private:
    using Clock = std::chrono::steady_clock;
    Clock::time_point began_ = Clock::now();
    Clock::time_point told_{};
    bool terminal_;
    bool shown_ = false;
};

/// "1,234,567"
std::string with_commas(std::uint64_t number);

}  // namespace muster::admin
