#include "load_client.h"

#include <openssl/err.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace muster::bench {
namespace {

constexpr std::uint32_t kFirstSource = 0x7F010001;  // 127.1.0.1

std::array<char, 256U * 1024U> scratch;

std::uint32_t source_for(const LoadTarget& target, std::uint32_t number) {
    return kFirstSource + number % static_cast<std::uint32_t>(target.sources);
}

/// Neighbours in time are far apart in the directory.
std::uint64_t user_for(const LoadTarget& target, std::uint32_t number) {
    constexpr std::uint64_t kSpread = 2'654'435'761;  // prime
    return number * kSpread % static_cast<std::uint64_t>(target.users);
}

}  // namespace

LoadClient::LoadClient(EventLoop& loop, const LoadTarget& target, std::uint32_t number, Ended ended)
    : target_(target),
      number_(number),
      ended_(std::move(ended)),
      step_(target.tls ? Step::Handshake : Step::Greeting),
      socket_(connect_later(target.address, source_for(target, number))) {
    if (target.tls) {
        tls_ = tls_on(target.tls, socket_.get());
        SSL_set_connect_state(tls_.get());
    }
    loop.add(socket_.get(), EPOLLIN | EPOLLOUT | EPOLLET, this);
}

void LoadClient::ready(std::uint32_t) {
    if (step_ == Step::Over || step_ == Step::Staying) return;
    if (step_ == Step::Handshake && !handshake()) return;
    for (;;) {
        const int got = receive();
        if (got == kWait) return;
        if (got == 0) return finish(step_ == Step::Leaving ? "" : "connection closed early");
        take_lines();
        if (step_ == Step::Over || step_ == Step::Staying) return;
    }
}

bool LoadClient::handshake() {
    ERR_clear_error();
    const int result = SSL_do_handshake(tls_.get());
    if (result == 1) {
        step_ = Step::Greeting;
        return true;
    }
    const int error = SSL_get_error(tls_.get(), result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        finish("TLS handshake failed");
    return false;
}

int LoadClient::receive() {
    const int want =
        literal_left_ == 0 ? 4096 : static_cast<int>(std::min(literal_left_, scratch.size()));
    // MSG_TRUNC makes the kernel drop plain bytes without copying them.
    const int flags = literal_left_ == 0 ? 0 : MSG_TRUNC;
    const int got =
        tls_ ? receive_tls(scratch.data(), want) : receive_plain(scratch.data(), want, flags);
    if (got <= 0) return got;
    if (literal_left_ != 0) {
        literal_left_ -= static_cast<std::size_t>(got);
    } else {
        input_.append(scratch.data(), static_cast<std::size_t>(got));
    }
    return got;
}

int LoadClient::receive_plain(char* data, int size, int flags) {
    const ssize_t got = recv(socket_.get(), data, static_cast<std::size_t>(size), flags);
    if (got < 0) return errno == EAGAIN || errno == ENOTCONN ? kWait : 0;
    return static_cast<int>(got);
}

int LoadClient::receive_tls(char* data, int size) {
    ERR_clear_error();
    const int got = SSL_read(tls_.get(), data, size);
    if (got > 0) return got;
    return SSL_get_error(tls_.get(), got) == SSL_ERROR_WANT_READ ? kWait : 0;
}

void LoadClient::take_lines() {
    std::size_t at = 0;
    while (literal_left_ == 0 && step_ != Step::Over) {
        const auto end = input_.find("\r\n", at);
        if (end == input_.npos) break;
        line(input_.substr(at, end - at));
        at = end + 2;
        if (literal_left_ == 0) continue;
        const std::size_t known = std::min(literal_left_, input_.size() - at);
        literal_left_ -= known;
        at += known;
    }
    input_.erase(0, at);
    if (input_.empty()) std::string().swap(input_);
}

void LoadClient::line(const std::string& text) {
    if (step_ == Step::Greeting && text.starts_with("* OK")) {
        const auto user = user_for(target_, number_);
        return send(Step::Login,
                    "a LOGIN user" + std::to_string(user) + "@" + target_.domain + " password\r\n");
    }
    if (step_ == Step::Fetch && text.ends_with('}')) {
        literal_left_ = std::stoul(text.substr(text.rfind('{') + 1));
        return;
    }
    if (text.starts_with("* ") || text == ")") return;
    const bool ok = text.substr(1).starts_with(" OK");
    if (!ok) return finish("unexpected answer: " + text);
    if (step_ == Step::Login && target_.stays) {
        step_ = Step::Staying;
        ended_(*this, {});
    } else if (step_ == Step::Login && target_.mebibytes > 0) {
        send(Step::Fetch, "f FETCH " + std::to_string(target_.mebibytes) + " BODY[]\r\n");
    } else if (step_ == Step::Logout) {
        step_ = Step::Leaving;
    } else {
        send(Step::Logout, "z LOGOUT\r\n");
    }
}

void LoadClient::send(Step next, const std::string& text) {
    step_ = next;
    const int size = static_cast<int>(text.size());
    const int sent =
        tls_ ? SSL_write(tls_.get(), text.data(), size)
             : static_cast<int>(::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL));
    if (sent != size) finish("cannot send");
}

void LoadClient::finish(const std::string& failure) {
    if (step_ == Step::Over) return;
    step_ = Step::Over;
    tls_.reset();
    socket_.reset();
    ended_(*this, failure);
}

bool LoadClient::gone() const {
    pollfd state{.fd = socket_.get(), .events = POLLRDHUP, .revents = 0};
    return poll(&state, 1, 0) > 0;
}

}  // namespace muster::bench
