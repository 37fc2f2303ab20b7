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
        std::size_t most = 0;    ///< as its last comer said
        std::deque<std::coroutine_handle<>> waiting;
    };

public:
    /// At most `most` turns of a destination at once, if it does not say less.
    Traffic(net::Loop& loop, queue::Schedule& schedule, std::size_t most)
        : loop_(loop), schedule_(schedule), most_(most) {}

    /// `co_await`ed: a turn, which leave() ends.
    class Turn {
    public:
        explicit Turn(Way& way) : way_(way) {}
        [[nodiscard]] bool await_ready() const {
            if (way_.under_way >= way_.most) return false;
            ++way_.under_way;
            return true;
        }
        void await_suspend(std::coroutine_handle<> waiter) { way_.waiting.push_back(waiter); }
        void await_resume() const {}

    private:
        Way& way_;
    };

    /// Somebody comes to a destination that takes so many at once; 0: as many as any. False: so
    /// many wait there that he goes back to the queue, as Busy; else he awaits turn().
    bool come(const std::string& destination, std::size_t own_most = 0);
    [[nodiscard]] Turn turn(const std::string& destination) { return Turn(ways_[destination]); }
    /// The turn goes to the one that has waited longest. When most of them had theirs, as many more
    /// are released from the queue.
    void leave(const std::string& destination);

private:
    /// In memory; few, so that slow destinations do not take the tries of all others.
    [[nodiscard]] static std::size_t most_waiting(const Way& way) {
        return std::max<std::size_t>(way.most / 2, 1);
    }

    net::Loop& loop_;
    queue::Schedule& schedule_;
    const std::size_t most_;
    std::map<std::string, Way> ways_;
};

}  // namespace muster::delivery
