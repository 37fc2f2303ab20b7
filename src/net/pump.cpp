#include "net/pump.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace muster::net {
namespace {

constexpr std::size_t kPipeBytes = 1024 * 1024;  // pipe-max-size of an ordinary user
constexpr std::size_t kCopyBytes = 64 * 1024;
constexpr ssize_t kBulkBytes = 16 * 1024;  // less at a time is copied: one system call saved
constexpr int kMovesATurn = 8;             // then other sessions have their turn
constexpr std::size_t kPipesKept = 64;
constexpr int kIdleLooks = 4;  // the idle timer looks four times an idle limit

/// Pipes that no session holds, one list a thread.
class PipePool {
public:
    ~PipePool() {
        for (const Pipe pipe : free_) close_pipe(pipe);
    }
    /// None when there are no descriptors left.
    Pipe borrow() {
        if (!free_.empty()) {
            const Pipe pipe = free_.back();
            free_.pop_back();
            return pipe;
        }
        int ends[2];
        if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return {};
        fcntl(ends[1], F_SETPIPE_SZ, kPipeBytes);  // the default size does as well
        return {ends[0], ends[1]};
    }
    void give_back(Pipe pipe, bool empty) {
        if (empty && free_.size() < kPipesKept) {
            free_.push_back(pipe);
        } else {
            close_pipe(pipe);
        }
    }

private:
    static void close_pipe(Pipe pipe) {
        close(pipe.out);
        close(pipe.in);
    }
    std::vector<Pipe> free_;
};

thread_local PipePool pipes;

ssize_t splice_some(int from, int to, std::size_t count) {
    for (;;) {
        const ssize_t moved =
            splice(from, nullptr, to, nullptr, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (moved >= 0 || errno != EINTR) return moved;
    }
}

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK; }

}  // namespace

Pump::Pump(SocketStream& client, SocketStream& server, Duration idle, Duration farewell)
    : up_(*this, client, server),
      down_(*this, server, client),
      idle_(idle),
      farewell_(farewell),
      spliced_(!client.encrypted() && !server.encrypted()) {}

Pump::~Pump() {
    for (const Leg* leg : {&up_, &down_}) {
        if (leg->pipe.in >= 0) pipes.give_back(leg->pipe, leg->in_pipe == 0);
    }
}

void Pump::await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    up_.from.descriptor().loop().arm(*this, idle_ / kIdleLooks);
    up_.from.expire_never();
    down_.from.expire_never();
    turn(up_);
    turn(down_);  // may resume the waiter, and with it end this pump
}

void Pump::abort(EndReason reason) { over(reason); }

void Pump::turn(Leg& leg) {
    leg.state = Leg::State::Moving;
    try {
        if (closing_) {
            leg.state = Leg::State::Ended;
        } else if (leg.from.descriptor().ended() != EndReason::None) {
            over(leg.from.descriptor().ended());
        } else if (leg.to.descriptor().ended() != EndReason::None) {
            over(leg.to.descriptor().ended());
        } else {
            move(leg);
        }
    } catch (const ConversationOver& over_now) {
        over(over_now.reason());
    } catch (const std::exception&) {  // no memory, say: this session's end, nobody else's
        over(EndReason::Failed);
    }
    if (leg.state == Leg::State::Moving) leg.state = Leg::State::Ended;
    if (up_.state != Leg::State::Ended || down_.state != Leg::State::Ended) return;
    moved_.to_server = up_.bytes;
    moved_.to_client = down_.bytes;
    disarm();
    waiter_.resume();
}

void Pump::move(Leg& leg) {
    if (leg.held) {
        const std::unique_ptr<std::string> held = std::move(leg.held);
        if (!write_or_hold(leg, *held)) return;
    }
    for (int moves = 0; moves < kMovesATurn; ++moves) {
        const bool by_pipe = leg.in_pipe != 0 || (spliced_ && leg.bulk);
        if (!(by_pipe ? splice_once(leg) : copy_once(leg))) return;
    }
    // Others have their turn. A wait to write ends at once, or when there is room for more.
    wait(leg, leg.to, Direction::Write);
}

bool Pump::splice_once(Leg& leg) {
    if (leg.in_pipe == 0) {
        if (leg.pipe.in < 0) leg.pipe = pipes.borrow();
        if (leg.pipe.in < 0) {
            spliced_ = false;
            return copy_once(leg);
        }
        const ssize_t in = splice_some(leg.from.descriptor().fd(), leg.pipe.in, kPipeBytes);
        if (in == 0) return end(leg), false;
        if (in < 0) {
            if (!would_block()) return over(EndReason::PeerGone), false;
            leg.from.descriptor().exhausted(Direction::Read);
            pipes.give_back(std::exchange(leg.pipe, {}), true);
            return wait(leg, leg.from, Direction::Read), false;
        }
        leg.in_pipe = static_cast<std::uint32_t>(in);
        leg.bulk = in >= kBulkBytes;
    }
    const ssize_t out = splice_some(leg.pipe.out, leg.to.descriptor().fd(), leg.in_pipe);
    if (out < 0 && would_block()) {
        leg.to.descriptor().exhausted(Direction::Write);
        return wait(leg, leg.to, Direction::Write), false;
    }
    if (out <= 0) return over(EndReason::PeerGone), false;
    leg.in_pipe -= static_cast<std::uint32_t>(out);
    leg.bytes += static_cast<std::uint64_t>(out);
    return true;
}

bool Pump::copy_once(Leg& leg) {
    if (leg.pipe.in >= 0) pipes.give_back(std::exchange(leg.pipe, {}), true);
    static thread_local std::string buffer(kCopyBytes, '\0');
    const Attempt read = leg.from.try_read(buffer);
    switch (read.state) {
        case Attempt::State::End: return end(leg), false;
        case Attempt::State::WantRead:
            note_bulk(leg, false);
            return wait(leg, leg.from, Direction::Read), false;
        case Attempt::State::WantWrite: return wait(leg, leg.from, Direction::Write), false;
        case Attempt::State::Moved: break;
    }
    leg.bytes += read.bytes;
    note_bulk(leg, read.bytes >= static_cast<std::size_t>(kBulkBytes));
    return write_or_hold(leg, std::string_view(buffer).substr(0, read.bytes));
}

void Pump::note_bulk(Leg& leg, bool bulk) {
    if (leg.bulk == bulk) return;
    leg.bulk = bulk;
    leg.from.keep_buffers(bulk);
    leg.to.keep_buffers(bulk);
}

bool Pump::write_or_hold(Leg& leg, std::string_view data) {
    while (!data.empty()) {
        const Attempt written = leg.to.try_write(data);
        if (written.state == Attempt::State::Moved) {
            data.remove_prefix(written.bytes);
            continue;
        }
        leg.held = std::make_unique<std::string>(data);
        wait(leg, leg.to,
             written.state == Attempt::State::WantRead ? Direction::Read : Direction::Write);
        return false;
    }
    return true;
}

void Pump::wait(Leg& leg, SocketStream& stream, Direction direction) {
    leg.state = Leg::State::Waiting;
    stream.descriptor().wait(direction, leg);
}

void Pump::end(Leg& leg) {
    leg.state = Leg::State::Ended;
    Leg& other = &leg == &up_ ? down_ : up_;
    if (other.state == Leg::State::Ended) return;
    moved_.reason = &leg == &up_ ? EndReason::ClientClosed : EndReason::ServerClosed;
    // A client whose server has gone and that has said nothing more need not be waited for. With
    // bytes of its unread, closing would send a reset that may overtake the last answer.
    Descriptor& client = up_.from.descriptor();
    const bool is_silent = &leg == &down_ && !client.promising(Direction::Read);
    if (is_silent && client.withdraw(Direction::Read, other)) {
        other.state = Leg::State::Ended;
        return;
    }
    leg.to.shutdown_write();
    moved_before_ = up_.bytes + down_.bytes;
    leg.from.descriptor().loop().arm(*this, farewell_);
}

void Pump::over(EndReason reason) {
    if (std::exchange(closing_, true)) return;
    // Once a side has ended in order, how roughly the other one follows tells nothing.
    const bool is_rough = reason == EndReason::PeerGone || reason == EndReason::TlsFailed;
    if (moved_.reason == EndReason::None || !is_rough) moved_.reason = reason;
    up_.from.abort(reason);
    down_.from.abort(reason);
}

void Pump::expired() {
    const std::uint64_t moved = up_.bytes + down_.bytes;
    quiet_looks_ = moved == moved_before_ ? quiet_looks_ + 1 : 0;
    moved_before_ = moved;
    const bool is_farewell = up_.state == Leg::State::Ended || down_.state == Leg::State::Ended;
    if (quiet_looks_ >= (is_farewell ? 1 : kIdleLooks)) return over(EndReason::Deadline);
    up_.from.descriptor().loop().arm(*this, is_farewell ? farewell_ : idle_ / kIdleLooks);
}

}  // namespace muster::net
