// A wall clock that is wrong by SHIFT_SECONDS, to be loaded before libc (LD_PRELOAD). Other clocks
// stay as they are.
#include <dlfcn.h>

#include <cstdlib>
#include <ctime>

namespace {

time_t shift() {
    static const time_t seconds = [] {
        const char* text = std::getenv("SHIFT_SECONDS");
        return text == nullptr ? time_t{0} : static_cast<time_t>(std::atol(text));
    }();
    return seconds;
}

template <typename Function>
Function real(const char* name) {
    return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
    static const auto next = real<int (*)(clockid_t, timespec*)>("clock_gettime");
    const int result = next(clock, time);
    if (result == 0 && clock == CLOCK_REALTIME) time->tv_sec += shift();
    return result;
}

extern "C" time_t time(time_t* out) noexcept {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    if (out != nullptr) *out = now.tv_sec;
    return now.tv_sec;
}
