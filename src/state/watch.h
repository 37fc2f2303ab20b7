#pragma once
// Being told that entries changed.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "base/ids.h"

namespace muster::state {

/// What moved. With `everything`, more changed than can be listed: read anew what you keep.
struct Changed {
    Revision revision = 0;
    std::span<const std::string> keys{};
    bool everything = false;
};

/// Called on the thread that made the change, after it is durable. Must be quick, may not throw
/// and may not call the store or the replica: post to your own loop instead.
using ChangeCallback = std::function<void(const Changed&)>;

/// A registration; ends when destroyed. After its destruction the callback neither runs nor will.
class [[nodiscard]] Watch {
public:
    Watch() = default;
    Watch(Watch&& other) noexcept;
    Watch& operator=(Watch&& other) noexcept;
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch();

private:
    friend class WatchList;
    struct Registry;
    Watch(std::weak_ptr<Registry> registry, std::uint64_t id);

    std::weak_ptr<Registry> registry_;
    std::uint64_t id_ = 0;
};

/// The callbacks of one store or replica. Thread-safe.
class WatchList {
public:
    WatchList();
    Watch add(ChangeCallback callback);
    void tell(const Changed& changed) const;

private:
    std::shared_ptr<Watch::Registry> registry_;
};

}  // namespace muster::state
