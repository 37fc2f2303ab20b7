#include "net/timer.h"

namespace muster::net {

void Timer::disarm() {
    if (next_ == nullptr) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    previous_ = next_ = nullptr;
}

TimerWheel::TimerWheel() {
    for (Head& head : slots_) head.previous_ = head.next_ = &head;
}

TimerWheel::~TimerWheel() {
    for (Head& head : slots_) {
        while (head.next_ != &head) head.next_->disarm();
        head.previous_ = head.next_ = nullptr;
    }
}

void TimerWheel::arm(Timer& timer, Duration after) {
    timer.disarm();
    const auto ticks =
        static_cast<std::uint32_t>((after.count() + kTick.count() - 1) / kTick.count());
    timer.due_ = now_ + ticks + 1;  // the running tick counts for nothing
    Head& head = slots_[timer.due_ % kSlots];
    timer.previous_ = head.previous_;
    timer.next_ = &head;
    head.previous_->next_ = &timer;
    head.previous_ = &timer;
}

void TimerWheel::advance(std::uint32_t now) {
    while (now_ != now) {
        ++now_;
        fire_slot(slots_[now_ % kSlots], now_);
    }
}

void TimerWheel::fire_slot(Head& slot, std::uint32_t tick) {
    // What is due moves to a ring of its own first: expired() may arm and disarm at will.
    Head due;
    due.previous_ = due.next_ = &due;
    for (Timer* timer = slot.next_; timer != &slot;) {
        Timer* following = timer->next_;
        if (timer->due_ == tick) {
            timer->disarm();
            timer->previous_ = due.previous_;
            timer->next_ = &due;
            due.previous_->next_ = timer;
            due.previous_ = timer;
        }
        timer = following;
    }
    while (due.next_ != &due) {
        Timer* timer = due.next_;
        timer->disarm();
        timer->expired();
    }
    due.previous_ = due.next_ = nullptr;
}

}  // namespace muster::net
