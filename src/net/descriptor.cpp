#include "net/descriptor.h"

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>

#include <new>

#include "net/loop_impl.h"

namespace muster::net {
namespace {

using Executor = boost::asio::io_context::executor_type;
using AsioDescriptor = boost::asio::posix::basic_stream_descriptor<Executor>;

/// Hands out a WaitOp's arena; the heap serves what does not fit.
template <typename T>
struct ArenaAllocator {
    using value_type = T;
    WaitOp* op;

    explicit ArenaAllocator(WaitOp* wait_op) : op(wait_op) {}
    template <typename U>
    ArenaAllocator(const ArenaAllocator<U>& other) : op(other.op) {}  // NOLINT: rebind

    T* allocate(std::size_t count) {
        if (count * sizeof(T) <= WaitOp::kArenaBytes) return reinterpret_cast<T*>(op->arena);
        return static_cast<T*>(::operator new(count * sizeof(T)));
    }
    void deallocate(T* memory, std::size_t count) {
        if (count * sizeof(T) > WaitOp::kArenaBytes) ::operator delete(memory);
    }
    template <typename U>
    bool operator==(const ArenaAllocator<U>& other) const {
        return op == other.op;
    }
};

struct OnReady {
    using allocator_type = ArenaAllocator<void>;
    WaitOp* op;

    void operator()(const boost::system::error_code&) const { op->ready(); }
    void operator()() const { op->ready(); }
    [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type{op}; }
};

AsioDescriptor& asio(std::byte* memory) {
    return *std::launder(reinterpret_cast<AsioDescriptor*>(memory));
}
const AsioDescriptor& asio(const std::byte* memory) {
    return *std::launder(reinterpret_cast<const AsioDescriptor*>(memory));
}

}  // namespace

Descriptor::Descriptor(Loop& loop, int fd) : loop_(loop) {
    static_assert(sizeof(AsioDescriptor) <= kImplBytes);
    new (impl_) AsioDescriptor(loop.impl().context.get_executor(), fd);
}

Descriptor::~Descriptor() { asio(impl_).~AsioDescriptor(); }

int Descriptor::fd() const { return const_cast<AsioDescriptor&>(asio(impl_)).native_handle(); }

void Descriptor::wait(Direction direction, WaitOp& op) {
    if (ended_ != EndReason::None) {
        boost::asio::post(loop_.impl().context, OnReady{&op});
        return;
    }
    asio(impl_).async_wait(
        direction == Direction::Read ? AsioDescriptor::wait_read : AsioDescriptor::wait_write,
        OnReady{&op});
}

void Descriptor::abort(EndReason reason) {
    if (ended_ == EndReason::None) ended_ = reason;
    boost::system::error_code ignored;
    asio(impl_).cancel(ignored);
}

void Descriptor::expire_after(Duration duration) {
    if (ended_ == EndReason::Deadline) ended_ = EndReason::None;
    loop_.arm(*this, duration);
}

void Descriptor::expire_never() { disarm(); }

void Descriptor::expired() { abort(EndReason::Deadline); }

}  // namespace muster::net
