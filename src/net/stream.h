#pragma once
// Bytes in both directions, plain or TLS, real or scripted.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/task.h"
#include "net/descriptor.h"

namespace muster::net {

/// What came of one try to move bytes without waiting.
struct Attempt {
    enum class State : std::uint8_t {
        Moved,      ///< `bytes` were moved (at least 1)
        WantRead,   ///< nothing moved: wait until readable
        WantWrite,  ///< nothing moved: wait until writable
        End,        ///< the peer ended its side in order
    };
    State state;
    std::size_t bytes = 0;
};

/// A two-way byte stream. One thread, one reader and one writer at a time.
/// Waiting functions throw ConversationOver when the stream was reset, aborted or ran out of time.
class Stream {
public:
    Stream() = default;
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    virtual ~Stream() = default;

    /// Moves what can be moved now; throws ConversationOver on reset.
    virtual Attempt try_read(std::span<char> into) = 0;
    virtual Attempt try_write(std::string_view data) = 0;
    /// Waits until a try may succeed.
    virtual Task<void> ready(Direction direction) = 0;

    /// Ends our sending side; the peer reads an end of stream.
    virtual void shutdown_write() = 0;
    virtual void abort(EndReason reason) = 0;
    virtual void expire_after(Duration duration) = 0;
    virtual void expire_never() = 0;
    [[nodiscard]] virtual bool encrypted() const = 0;

    /// Reads at least one byte; 0 is the end of the stream.
    Task<std::size_t> read_some(std::span<char> into);
    /// Writes everything. `data` must stay valid until it returns.
    Task<void> write(std::string_view data);
};

/// Runs `phase` under a deadline on `stream`, and lifts the deadline when it returns. `stream`
/// outlives `phase`, which uses it.
template <typename T>
// NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters)
Task<T> within(Stream& stream, Duration limit, Task<T> phase) {
    stream.expire_after(limit);
    if constexpr (std::is_void_v<T>) {
        co_await std::move(phase);
        stream.expire_never();
    } else {
        T result = co_await std::move(phase);
        stream.expire_never();
        co_return result;
    }
}

}  // namespace muster::net
