#pragma once
// Work that must not go on twice for the same name.

#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

namespace muster::admin {

/// Thread-safe; outlives the turns.
class OneAtATime {
public:
    class Turn {
    public:
        Turn(OneAtATime& of, std::string name) : of_(&of), name_(std::move(name)) {}
        Turn(Turn&& other) noexcept
            : of_(std::exchange(other.of_, nullptr)), name_(std::move(other.name_)) {}
        Turn& operator=(Turn&&) = delete;
        ~Turn() {
            if (of_ != nullptr) of_->end(name_);
        }

    private:
        OneAtATime* of_;
        std::string name_;
    };

    /// Empty while another turn of that name goes on.
    std::optional<Turn> begin(const std::string& name) {
        const std::scoped_lock lock(mutex_);
        if (!going_on_.insert(name).second) return std::nullopt;
        return Turn(*this, name);
    }

private:
    void end(const std::string& name) {
        const std::scoped_lock lock(mutex_);
        going_on_.erase(name);
    }
    std::mutex mutex_;
    std::set<std::string> going_on_;
};

}  // namespace muster::admin
