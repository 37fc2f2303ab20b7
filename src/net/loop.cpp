#include "net/loop.h"

#include <boost/asio/post.hpp>

#include <csignal>

#include "net/loop_impl.h"

namespace muster::net {
namespace {

constexpr int kRounds = 8;

}  // namespace

Loop::Loop() : impl_(std::make_unique<Impl>()) {
    std::signal(SIGPIPE, SIG_IGN);  // OpenSSL knows no MSG_NOSIGNAL
}
Loop::~Loop() = default;

void Loop::run() { impl_->context.run(); }

void Loop::stop() { impl_->context.stop(); }

void Loop::stop_when_idle() { farewell_.spawn(stop_after_tasks()); }

Task<void> Loop::stop_after_tasks() {
    co_await tasks_.drained();
    stop();
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

Loop::Impl::Impl() : readiness_event(context.get_executor(), readiness.fd()) { watch_readiness(); }

Loop::Impl::~Impl() { readiness_event.release(); }  // its descriptor is the Readiness's own

void Loop::Impl::watch_readiness() {
    readiness_event.async_wait(boost::asio::posix::descriptor_base::wait_read,
                               [this](const boost::system::error_code& error) {
                                   if (error) return;
                                   // What was told may have caused more at once; what was posted
                                   // has its turn after a few rounds.
                                   for (int i = 0; i < kRounds && readiness.dispatch(); ++i) {
                                   }
                                   watch_readiness();
                               });
}

void Loop::Impl::soon(WaitOp& op) {
    boost::asio::post(context, [&op] { op.ready(); });
}

void Loop::Impl::tick() {
    ticker.expires_at(started + (wheel.now() + 1) * TimerWheel::kTick);
    ticker.async_wait([this](const boost::system::error_code& error) {
        if (error) return;
        wheel.advance(ticks_since_start());
        tick();
    });
}

void Sleep::end_soon() {
    if (armed()) loop_.arm(*this, Duration{0});
}

void Sleep::cut_short() {
    if (!armed()) return;
    disarm();
    expired();
}

}  // namespace muster::net
