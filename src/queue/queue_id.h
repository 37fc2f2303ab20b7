#pragma once
// Names of queued messages.

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/ids.h"

namespace muster::queue {

/// Wall-clock time as it stands in queue files, in milliseconds since 1970 (UTC).
using Time = std::chrono::sys_time<std::chrono::milliseconds>;

[[nodiscard]] inline Time now() {
    return std::chrono::time_point_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now());
}

/// 20 characters of lower-case base32 (0-9 a-z without i l o u): 10 of the time in milliseconds, 4
/// of the node's name, 6 of a counter that starts at random. Sorts by time, is a file name, and is
/// never given twice in a cluster.
using QueueId = Name<struct QueueIdTag>;

inline constexpr std::size_t kQueueIdLength = 20;
/// The first characters of an id name its folder: about 17 minutes of mail (2^20 ms).
inline constexpr std::size_t kBucketLength = 6;

/// An id without a heap block of its own, for where there are millions.
struct PackedId {
    std::array<char, kQueueIdLength> text{};

    /// Of an id's 20 characters.
    explicit PackedId(std::string_view id) { id.copy(text.data(), text.size()); }
    [[nodiscard]] QueueId id() const { return QueueId(std::string_view(text.data(), text.size())); }
    friend auto operator<=>(const PackedId&, const PackedId&) = default;
};

/// Gives ids. Thread-safe.
class QueueIds {
public:
    explicit QueueIds(const NodeName& node);
    QueueIds(const QueueIds&) = delete;
    QueueIds& operator=(const QueueIds&) = delete;

    [[nodiscard]] QueueId next(Time time = now());
    /// Whether this object gave it, as far as an id can tell.
    [[nodiscard]] bool gave(const QueueId& id) const;

private:
    const std::uint64_t node_;
    const std::uint64_t first_;
    const Time began_;
    std::atomic<std::uint64_t> counter_;
};

/// Syntax for what is no id.
Result<QueueId> parse_queue_id(std::string_view text);
[[nodiscard]] bool is_queue_id(std::string_view text);
/// When it was given.
[[nodiscard]] Time time_of(const QueueId& id);
/// No id of that time or later sorts before it.
[[nodiscard]] QueueId first_id_at(Time time);

}  // namespace muster::queue
