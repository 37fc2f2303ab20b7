#include "event_loop.h"

#include <sys/epoll.h>

#include <array>
#include <cerrno>

namespace muster::bench {
namespace {

class Listener final : public Watched {
public:
    Listener(Fd socket, std::function<void(Fd)> on_accept)
        : socket_(std::move(socket)), on_accept_(std::move(on_accept)) {}
    void ready(std::uint32_t) override {
        // A few at a time, so that a burst of connections does not starve the others.
        for (int i = 0; i < 16; ++i) {
            Fd client = accept_from(socket_);
            if (client.get() < 0) return;
            on_accept_(std::move(client));
        }
    }

private:
    Fd socket_;
    std::function<void(Fd)> on_accept_;
};

}  // namespace

EventLoop::EventLoop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

void EventLoop::add(int fd, std::uint32_t events, Watched* target) {
    epoll_event event{.events = events, .data = {.ptr = target}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
}

void EventLoop::change(int fd, std::uint32_t events, Watched* target) {
    epoll_event event{.events = events, .data = {.ptr = target}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) die("epoll_ctl");
}

void EventLoop::listen(Fd listener, std::function<void(Fd)> on_accept) {
    const int fd = listener.get();
    listeners_.push_back(std::make_unique<Listener>(std::move(listener), std::move(on_accept)));
    add(fd, EPOLLIN, listeners_.back().get());
}

void EventLoop::turn(int milliseconds) {
    std::array<epoll_event, 256> events;
    const int count =
        epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), milliseconds);
    if (count < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        static_cast<Watched*>(event.data.ptr)->ready(event.events);
    }
    retired_.clear();
}

void EventLoop::run() {
    for (;;) turn();
}

}  // namespace muster::bench
