#pragma once
// For net/*.cpp only: what a Loop is made of.

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "net/loop.h"
#include "net/readiness_impl.h"

namespace muster::net {

struct Loop::Impl {
    using Executor = boost::asio::io_context::executor_type;

    Impl();
    ~Impl();
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void tick();
    void watch_readiness();
    /// Calls op.ready() from the loop, without waiting for anything.
    void soon(WaitOp& op);
    [[nodiscard]] std::uint32_t ticks_since_start() const {
        return static_cast<std::uint32_t>((Clock::now() - started) / TimerWheel::kTick);
    }

    // One thread runs the loop, so the reactor needs no locks; post() stays thread-safe.
    boost::asio::io_context context{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};
    boost::asio::executor_work_guard<Executor> work{context.get_executor()};
    boost::asio::steady_timer ticker{context};
    Readiness readiness;
    boost::asio::posix::basic_stream_descriptor<Executor> readiness_event;
    TimerWheel wheel;
    Clock::time_point started = Clock::now();
    bool ticking = false;
};

}  // namespace muster::net
