#include "plain_pair.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>

namespace muster::bench {
namespace {

constexpr std::size_t kPipeSize = 256U * 1024U;
constexpr unsigned kSpliceFlags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;

std::vector<std::unique_ptr<Pipe>> free_pipes;

std::unique_ptr<Pipe> borrow_pipe() {
    if (free_pipes.empty()) {
        int ends[2];
        if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) die("pipe");
        fcntl(ends[0], F_SETPIPE_SZ, kPipeSize);
        return std::make_unique<Pipe>(Pipe{Fd(ends[0]), Fd(ends[1]), 0});
    }
    auto pipe = std::move(free_pipes.back());
    free_pipes.pop_back();
    return pipe;
}

void give_back(std::unique_ptr<Pipe> pipe) {
    if (pipe && pipe->filled == 0) free_pipes.push_back(std::move(pipe));
}

}  // namespace

void PlainPair::start(EventLoop& loop, Fd client, Fd server) {
    new PlainPair(loop, std::move(client), std::move(server));
}

PlainPair::PlainPair(EventLoop& loop, Fd client, Fd server)
    : loop_(loop), client_(std::move(client)), server_(std::move(server)) {
    directions_[0] = {client_.get(), server_.get(), nullptr};
    directions_[1] = {server_.get(), client_.get(), nullptr};
    loop_.add(client_.get(), EPOLLIN | EPOLLOUT | EPOLLET, this);
    loop_.add(server_.get(), EPOLLIN | EPOLLOUT | EPOLLET, this);
}

void PlainPair::ready(std::uint32_t) {
    if (client_.get() < 0) return;  // closed earlier in this round
    for (Direction& direction : directions_)
        if (move(direction) == Moved::Ended) return close();
}

PlainPair::Moved PlainPair::move(Direction& direction) {
    if (!direction.pipe) direction.pipe = borrow_pipe();
    Pipe& pipe = *direction.pipe;
    for (;;) {
        if (pipe.filled == 0) {
            const ssize_t got =
                splice(direction.from, nullptr, pipe.write.get(), nullptr, kPipeSize, kSpliceFlags);
            if (got == 0) return Moved::Ended;
            if (got < 0 && errno != EAGAIN && errno != ENOTCONN) return Moved::Ended;
            if (got < 0) break;
            pipe.filled = static_cast<std::size_t>(got);
        }
        const ssize_t sent =
            splice(pipe.read.get(), nullptr, direction.to, nullptr, pipe.filled, kSpliceFlags);
        if (sent < 0 && errno == EAGAIN) return Moved::Waiting;
        if (sent <= 0) return Moved::Ended;
        pipe.filled -= static_cast<std::size_t>(sent);
    }
    give_back(std::move(direction.pipe));
    return Moved::Waiting;
}

void PlainPair::close() {
    client_.reset();
    server_.reset();
    for (Direction& direction : directions_) give_back(std::move(direction.pipe));
    loop_.retire(std::unique_ptr<Watched>(this));
}

}  // namespace muster::bench
