#include "backend/probe_memory.h"

#include <ranges>
#include <utility>

namespace muster::backend {

void ProbeMemory::saw(std::string_view name, Probe probe, Clock::time_point now) {
    if (!name.starts_with(kPrefix)) return;
    if (seen_.size() >= kMost) seen_.pop_front();
    seen_.push_back({std::string(name), std::move(probe), now + kLifetime});
}

std::optional<Probe> ProbeMemory::find(std::string_view name, Clock::time_point now) const {
    for (const Seen& seen : std::views::reverse(seen_)) {
        if (seen.name == name && now <= seen.until) return seen.probe;
    }
    return std::nullopt;
}

}  // namespace muster::backend
