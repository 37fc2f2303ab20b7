#include "net/short_sleep.h"

#include <memory>

#include "net/loop_impl.h"

namespace muster::net {

void ShortSleep::await_suspend(std::coroutine_handle<> waiter) {
    const auto timer = std::make_shared<boost::asio::steady_timer>(loop_.impl().context, duration_);
    timer->async_wait([timer, waiter](const boost::system::error_code& error) {
        if (!error) waiter.resume();
    });
}

}  // namespace muster::net
