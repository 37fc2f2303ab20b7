#pragma once
// For net/*.cpp only: what a Loop is made of.

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "net/loop.h"

namespace muster::net {

struct Loop::Impl {
    // One thread runs the loop, so the reactor needs no locks; post() stays thread-safe.
    boost::asio::io_context context{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{
        context.get_executor()};
    boost::asio::steady_timer ticker{context};
    TimerWheel wheel;
    Clock::time_point started = Clock::now();
    bool ticking = false;

    [[nodiscard]] std::uint32_t ticks_since_start() const {
        return static_cast<std::uint32_t>((Clock::now() - started) / TimerWheel::kTick);
    }
    void tick();
};

}  // namespace muster::net
