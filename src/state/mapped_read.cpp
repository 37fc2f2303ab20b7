#include "state/mapped_read.h"

#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <mutex>

namespace muster::state {
namespace {

enum class Span : std::uint8_t { None, Reading, Failed };

/// Written by the thread and by the handler that interrupts it.
thread_local volatile Span span = Span::None;

/// Asked once: sysconf is not for a signal handler.
std::uintptr_t page_size = 0;

/// mmap is a plain system call on Linux, and safe here. Nothing else is done.
void on_bus_error(int signal, siginfo_t* info, void* /*context*/) {
    const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
    if (span != Span::None) {
        span = Span::Failed;
        // NOLINTNEXTLINE(performance-no-int-to-ptr): where the fault was, at its page's begin
        void* page = reinterpret_cast<void*>(address & ~(page_size - 1));
        constexpr int kZeros = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
        if (::mmap(page, page_size, PROT_READ | PROT_WRITE, kZeros, -1, 0) == page) return;
    }
    std::signal(signal, SIG_DFL);  // the access is tried again, and ends the process
}

}  // namespace

void MappedRead::prepare() {
    static std::once_flag once;
    std::call_once(once, [] {
        page_size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
        struct sigaction action = {};
        action.sa_sigaction = on_bus_error;
        action.sa_flags = SA_SIGINFO;
        ::sigaction(SIGBUS, &action, nullptr);
    });
}

MappedRead::MappedRead() { span = Span::Reading; }

MappedRead::~MappedRead() { span = Span::None; }

bool MappedRead::failed() const { return span == Span::Failed; }

}  // namespace muster::state
