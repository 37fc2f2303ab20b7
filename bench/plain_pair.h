#pragma once
// Two plain connections whose bytes the kernel moves through a borrowed pipe.

#include <array>
#include <cstddef>

#include "event_loop.h"

namespace muster::bench {

/// A pipe for splice(); empty ones are kept for the next who needs one.
struct Pipe {
    Fd read;
    Fd write;
    std::size_t filled = 0;
};

/// Owns itself: ends when either side ends. Both directions are alike. Edge-triggered, so that an
/// idle pair costs two epoll entries and this object.
class PlainPair final : public Watched {
public:
    static void start(EventLoop& loop, Fd client, Fd server);
    void ready(std::uint32_t events) override;

private:
    enum class Moved { Waiting, Ended };
    struct Direction {
        int from;
        int to;
        std::unique_ptr<Pipe> pipe;  // only while the receiver is slower than the sender
    };

    PlainPair(EventLoop& loop, Fd client, Fd server);
    Moved move(Direction& direction);
    void close();

    EventLoop& loop_;
    Fd client_;
    Fd server_;
    std::array<Direction, 2> directions_;
};

}  // namespace muster::bench
