#include "state/watch.h"

#include <utility>

namespace muster::state {

struct Watch::Registry {
    std::mutex mutex;
    std::uint64_t last_id = 0;
    std::map<std::uint64_t, ChangeCallback> callbacks;
};

Watch::Watch(std::weak_ptr<Registry> registry, std::uint64_t id)
    : registry_(std::move(registry)), id_(id) {}

Watch::Watch(Watch&& other) noexcept
    : registry_(std::exchange(other.registry_, {})), id_(other.id_) {}

Watch& Watch::operator=(Watch&& other) noexcept {
    std::swap(registry_, other.registry_);
    std::swap(id_, other.id_);
    return *this;
}

Watch::~Watch() {
    const auto registry = registry_.lock();
    if (!registry) return;
    const std::lock_guard lock(registry->mutex);  // waits for a callback that is running
    registry->callbacks.erase(id_);
}

WatchList::WatchList() : registry_(std::make_shared<Watch::Registry>()) {}

Watch WatchList::add(ChangeCallback callback) {
    const std::lock_guard lock(registry_->mutex);
    const std::uint64_t id = ++registry_->last_id;
    registry_->callbacks.emplace(id, std::move(callback));
    return {registry_, id};
}

void WatchList::tell(const Changed& changed) const {
    const std::lock_guard lock(registry_->mutex);
    for (const auto& [id, callback] : registry_->callbacks) callback(changed);
}

}  // namespace muster::state
