#pragma once
// One epoll loop for the single-threaded tools.

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "sockets.h"

namespace muster::bench {

/// Something that owns a descriptor and is told when it is ready.
class Watched {
public:
    virtual ~Watched() = default;
    virtual void ready(std::uint32_t events) = 0;
};

class EventLoop {
public:
    EventLoop();
    /// `events` as for epoll_ctl; `target` must stay alive until its descriptor is closed and
    /// the current round of events is over: see retire().
    void add(int fd, std::uint32_t events, Watched* target);
    void change(int fd, std::uint32_t events, Watched* target);
    /// Destroys `object` after the current round, in which events for it may still follow.
    void retire(std::unique_ptr<Watched> object) { retired_.push_back(std::move(object)); }
    /// Calls `on_accept` for each connection, for ever.
    void listen(Fd listener, std::function<void(Fd)> on_accept);
    /// Waits for events once, at most for `milliseconds` (-1: for ever), and serves them.
    void turn(int milliseconds = -1);
    [[noreturn]] void run();

private:
    Fd epoll_;
    std::vector<std::unique_ptr<Watched>> listeners_;
    std::vector<std::unique_ptr<Watched>> retired_;
};

}  // namespace muster::bench
