#pragma once
// How many messages are on their way to one destination at once.

#include <algorithm>
#include <coroutine>
#include <deque>
#include <map>
#include <string>

#include "net/loop.h"
#include "queue/schedule.h"

namespace muster::delivery {

/// Gives turns at destinations, in the order in which they are asked for. One loop's thread; what
/// is passed by reference outlives it.
class Traffic {
    struct Way {
        std::size_t under_way = 0;
        std::size_t coming = 0;  ///< were released to it and have not come yet, as far as known
        std::deque<std::coroutine_handle<>> waiting;
    };

public:
    /// At most `most` turns of a destination at once.
    Traffic(net::Loop& loop, queue::Schedule& schedule, std::size_t most)
        : loop_(loop),
          schedule_(schedule),
          most_(most),
          most_waiting_(std::max<std::size_t>(most / 2, 1)) {}

    /// `co_await`ed: a turn, which leave() ends.
    class Turn {
    public:
        Turn(Way& way, std::size_t most) : way_(way), most_(most) {}
        [[nodiscard]] bool await_ready() const {
            if (way_.under_way >= most_) return false;
            ++way_.under_way;
            return true;
        }
        void await_suspend(std::coroutine_handle<> waiter) { way_.waiting.push_back(waiter); }
        void await_resume() const {}

    private:
        Way& way_;
        std::size_t most_;
    };

    /// Somebody comes to a destination. False: so many wait there that he goes back to the queue,
    /// as Busy; else he awaits turn().
    bool come(const std::string& destination);
    [[nodiscard]] Turn turn(const std::string& destination) { return {ways_[destination], most_}; }
    /// The turn goes to the one that has waited longest. When most of them had theirs, as many more
    /// are released from the queue.
    void leave(const std::string& destination);

private:
    net::Loop& loop_;
    queue::Schedule& schedule_;
    const std::size_t most_;
    /// In memory; few, so that slow destinations do not take the tries of all others.
    const std::size_t most_waiting_;
    std::map<std::string, Way> ways_;
};

}  // namespace muster::delivery
