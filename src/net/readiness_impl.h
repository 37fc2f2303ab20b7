#pragma once
// For net/*.cpp only: edge-triggered readiness of many descriptors, behind one wait of Asio's.

#include <sys/epoll.h>

#include <array>
#include <cstddef>

#include "net/descriptor.h"

namespace muster::net {

/// An epoll set in which every descriptor is entered once, for all events, and never touched
/// again: a wait costs no system call. The set is itself a descriptor, which Asio watches.
class Readiness {
public:
    Readiness();
    ~Readiness();
    Readiness(const Readiness&) = delete;
    Readiness& operator=(const Readiness&) = delete;

    [[nodiscard]] int fd() const { return fd_; }
    void add(Descriptor& descriptor);
    void remove(Descriptor& descriptor);
    /// For one whose socket outlives it.
    void leave(Descriptor& descriptor);
    /// Tells descriptors what has happened; false when nothing had.
    bool dispatch();

private:
    static constexpr std::size_t kBatch = 256;

    int fd_;
    std::array<epoll_event, kBatch> events_;
    std::size_t next_ = 0;  // of the batch that is being told
    std::size_t count_ = 0;
};

}  // namespace muster::net
