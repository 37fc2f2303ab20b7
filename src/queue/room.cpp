#include "queue/room.h"

namespace muster::queue {
namespace {

constexpr std::chrono::nanoseconds kAskAgain = std::chrono::milliseconds(100);

}  // namespace

Room::Room(const SpoolFiles& files, std::uint64_t reserve) : files_(files), reserve_(reserve) {
    if (const auto free = files.free_bytes()) free_ = static_cast<std::int64_t>(*free);
}

Result<> Room::check(std::uint64_t size, std::uint64_t reserve) {
    const std::int64_t time = std::chrono::steady_clock::now().time_since_epoch().count();
    std::int64_t asked = asked_.load();
    if ((asked == 0 || time - asked > kAskAgain.count()) &&
        asked_.compare_exchange_strong(asked, time)) {
        const auto free = files_.free_bytes();
        if (!free) return std::unexpected(free.error());
        free_ = static_cast<std::int64_t>(*free);
    }
    if (free_.load() < static_cast<std::int64_t>(reserve + size)) {
        return fail(ErrorKind::Limit, "insufficient storage",
                    "the queue's file system is full to its reserve: " + files_.folder());
    }
    return {};
}

}  // namespace muster::queue
