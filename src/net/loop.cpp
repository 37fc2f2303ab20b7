#include "net/loop.h"

#include <boost/asio/post.hpp>

#include "net/loop_impl.h"

namespace muster::net {

Loop::Loop() : impl_(std::make_unique<Impl>()) {}
Loop::~Loop() = default;

void Loop::run() { impl_->context.run(); }

void Loop::stop() { impl_->context.stop(); }

void Loop::stop_when_idle() { farewell_.spawn(stop_after(tasks_, *this)); }

Task<void> Loop::stop_after(TaskGroup& tasks, Loop& loop) {
    co_await tasks.drained();
    loop.stop();
}

void Loop::post(std::function<void()> work) { boost::asio::post(impl_->context, std::move(work)); }

void Loop::arm(Timer& timer, Duration after) {
    if (!impl_->ticking) {
        impl_->ticking = true;
        impl_->wheel.advance(impl_->ticks_since_start());
        impl_->tick();
    }
    impl_->wheel.arm(timer, after);
}

void Loop::Impl::tick() {
    ticker.expires_at(started + (wheel.now() + 1) * TimerWheel::kTick);
    ticker.async_wait([this](const boost::system::error_code& error) {
        if (error) return;
        wheel.advance(ticks_since_start());
        tick();
    });
}

void Sleep::cut_short() {
    if (!armed()) return;
    disarm();
    expired();
}

}  // namespace muster::net
