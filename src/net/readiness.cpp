#include <unistd.h>

#include "net/readiness_impl.h"

namespace muster::net {

Readiness::Readiness() : fd_(epoll_create1(EPOLL_CLOEXEC)) { MUSTER_CHECK(fd_ >= 0); }

Readiness::~Readiness() { ::close(fd_); }

void Readiness::add(Descriptor& descriptor) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.ptr = &descriptor;
    MUSTER_CHECK(epoll_ctl(fd_, EPOLL_CTL_ADD, descriptor.fd(), &event) == 0);
}

void Readiness::remove(Descriptor& descriptor) {
    // The kernel forgets the descriptor when it is closed; a batch in hand does not.
    for (std::size_t i = next_; i < count_; ++i) {
        if (events_[i].data.ptr == &descriptor) events_[i].data.ptr = nullptr;
    }
}

void Readiness::leave(Descriptor& descriptor) {
    epoll_ctl(fd_, EPOLL_CTL_DEL, descriptor.fd(), nullptr);
    remove(descriptor);
}

bool Readiness::dispatch() {
    const int got = epoll_wait(fd_, events_.data(), static_cast<int>(kBatch), 0);
    count_ = got > 0 ? static_cast<std::size_t>(got) : 0;
    for (next_ = 0; next_ < count_;) {
        const epoll_event event = events_[next_++];
        if (event.data.ptr == nullptr) continue;
        static_cast<Descriptor*>(event.data.ptr)->happened(event.events);
    }
    count_ = next_ = 0;
    return got > 0;
}

}  // namespace muster::net
