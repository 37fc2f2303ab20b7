#include "net/descriptor.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <utility>

#include "net/loop_impl.h"

namespace muster::net {

Descriptor::Descriptor(Loop& loop, int fd, bool writable) : loop_(loop), fd_(fd) {
    write_.promising = writable;
    loop_.impl().readiness.add(*this);
}

Descriptor::~Descriptor() {
    loop_.impl().readiness.remove(*this);
    ::close(fd_);
}

void Descriptor::exhausted(Direction direction) {
    side(direction).promising = direction == Direction::Read && hung_up_;
}

void Descriptor::wait(Direction direction, WaitOp& op) {
    Side& which = side(direction);
    if (which.promising || ended_ != EndReason::None) return loop_.impl().soon(op);
    WaitOp*& place = which.waiters[0] == nullptr ? which.waiters[0] : which.waiters[1];
    MUSTER_CHECK(place == nullptr);
    place = &op;
}

bool Descriptor::withdraw(Direction direction, WaitOp& op) {
    for (WaitOp*& waiter : side(direction).waiters) {
        if (waiter != &op) continue;
        waiter = nullptr;
        return true;
    }
    return false;
}

void Descriptor::happened(std::uint32_t events) {
    constexpr std::uint32_t kBroken = EPOLLERR | EPOLLHUP;
    if ((events & kBroken) != 0) failed_ = true;
    if ((events & (kBroken | EPOLLRDHUP)) != 0) hung_up_ = true;
    if ((events & (kBroken | EPOLLOUT)) != 0) write_.promising = true;
    if ((events & (kBroken | EPOLLIN | EPOLLRDHUP)) != 0) read_.promising = true;
    // Waiters are taken out before the first one runs: that may be the end of this descriptor.
    std::array<WaitOp*, 4> waiters{};
    std::size_t count = 0;
    for (Side* each : {&read_, &write_}) {
        if (!each->promising) continue;
        for (WaitOp*& waiter : each->waiters) {
            if (waiter != nullptr) waiters[count++] = std::exchange(waiter, nullptr);
        }
    }
    if (count == 0) return;
    Loop::Impl& loop = loop_.impl();
    for (std::size_t i = 1; i < count; ++i) loop.soon(*waiters[i]);
    waiters[0]->ready();
}

void Descriptor::release(Side& side) {
    for (WaitOp*& waiter : side.waiters) {
        if (waiter != nullptr) loop_.impl().soon(*std::exchange(waiter, nullptr));
    }
}

void Descriptor::abort(EndReason reason) {
    if (ended_ == EndReason::None) ended_ = reason;
    release(read_);
    release(write_);
}

void Descriptor::leave() { loop_.impl().readiness.leave(*this); }

void Descriptor::expire_after(Duration duration) {
    if (ended_ == EndReason::Deadline) ended_ = EndReason::None;
    loop_.arm(*this, duration);
}

void Descriptor::expire_never() { disarm(); }

void Descriptor::expired() { abort(EndReason::Deadline); }

}  // namespace muster::net
