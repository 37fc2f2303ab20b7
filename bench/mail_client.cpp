#include "mail_client.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdlib>

namespace muster::bench {
namespace {

constexpr std::uint32_t kFirstSource = 0x7F020001;  // 127.2.0.1
constexpr std::string_view kDot = ".\r\n";

std::array<char, 16U * 1024U> scratch;

/// Neighbours in time are far apart in the directory.
std::string user_for(const MailWork& work, std::uint32_t number) {
    constexpr std::uint64_t kSpread = 2'654'435'761;  // prime
    return "user" + std::to_string(number * kSpread % static_cast<std::uint64_t>(work.users));
}

}  // namespace

std::string make_text(std::size_t size) {
    std::string text =
        "From: Sender <sender@example.org>\r\nTo: Somebody <somebody@example.org>\r\n"
        "Subject: a message of the bench\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n"
        "Message-ID: <bench@example.org>\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\n";
    const std::string line = std::string(76, 'm') + "\r\n";
    while (text.size() + line.size() <= size) text += line;
    if (text.size() + 2 < size) text += std::string(size - text.size() - 2, 'm') + "\r\n";
    return text.append(kDot);
}

MailClient::MailClient(EventLoop& loop, const MailWork& work, std::uint32_t first,
                       std::uint32_t share, Ended ended)
    : work_(work),
      first_(first),
      share_(share),
      ended_(std::move(ended)),
      socket_(connect_later(
          work.address, kFirstSource + first / share % static_cast<std::uint32_t>(work.sources))) {
    loop.add(socket_.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, this);
}

void MailClient::ready(std::uint32_t events) {
    if (step_ == Step::Over || step_ == Step::Staying) return;
    if (!pending_.empty()) push();
    while (step_ != Step::Over && step_ != Step::Staying) {
        const ssize_t got = recv(socket_.get(), scratch.data(), scratch.size(), 0);
        if (got < 0 && (errno == EAGAIN || errno == ENOTCONN)) return;
        if (got <= 0) return finish("connection closed early");
        input_.append(scratch.data(), static_cast<std::size_t>(got));
        take_lines();
        const bool all = static_cast<std::size_t>(got) < scratch.size();
        if (all && (events & EPOLLRDHUP) == 0) return;
    }
}

void MailClient::take_lines() {
    std::size_t at = 0;
    while (step_ != Step::Over) {
        const auto end = input_.find('\n', at);
        if (end == input_.npos) break;
        reply(std::string_view(input_).substr(at, end - at));
        at = end + 1;
    }
    input_.erase(0, at);
}

void MailClient::reply(std::string_view line) {
    if (line.size() > 3 && line[3] == '-') return;
    const int code = std::atoi(input_.c_str() + (line.data() - input_.data()));
    const bool last_of_envelope = step_ == Step::Envelope && awaited_ == 1;
    const int wanted = step_ == Step::Guesses ? 5 : last_of_envelope ? 3 : 2;
    if (code / 100 != wanted) return finish("unexpected answer: " + std::string(line));
    answered();
}

void MailClient::answered() {
    if (step_ == Step::Guesses) ++done_;
    if (--awaited_ > 0) return;
    switch (step_) {
        case Step::Greeting: awaited_ = 1; return send(Step::Hello, "EHLO client.example.org\r\n");
        case Step::Hello: return go_on();
        case Step::Envelope: return send_text();
        case Step::Text: ++done_; return go_on();
        case Step::Sender:
        case Step::Guesses: return go_on();
        case Step::Leaving: return finish("");
        case Step::Staying:
        case Step::Over: return;
    }
}

void MailClient::go_on() {
    if (done_ == share_) {
        awaited_ = 1;
        return send(Step::Leaving, "QUIT\r\n");
    }
    if (work_.guesses == 0) return send_envelope();
    if (step_ != Step::Hello) return send_guesses();
    awaited_ = 1;
    send(Step::Sender, "MAIL FROM:<sender@example.org>\r\n");
}

void MailClient::send_envelope() {
    awaited_ = 3;
    send(Step::Envelope, "MAIL FROM:<sender@example.org>\r\nRCPT TO:<" +
                             user_for(work_, first_ + done_) + "@" + work_.domain +
                             ">\r\nDATA\r\n");
}

/// Names that stand between those of the accounts.
void MailClient::send_guesses() {
    std::string text;
    for (awaited_ = 0;
         awaited_ < work_.guesses && done_ + static_cast<std::uint32_t>(awaited_) < share_;
         ++awaited_) {
        const auto number = first_ + done_ + static_cast<std::uint32_t>(awaited_);
        text += "RCPT TO:<" + user_for(work_, number) + "x@" + work_.domain + ">\r\n";
    }
    send(Step::Guesses, std::move(text));
}

void MailClient::send_text() {
    awaited_ = 1;
    step_ = Step::Text;
    pending_ = work_.text;
    if (work_.stays) pending_.remove_suffix(kDot.size());
    push();
}

void MailClient::send(Step next, std::string text) {
    step_ = next;
    own_ = std::move(text);
    pending_ = own_;
    push();
}

void MailClient::push() {
    while (!pending_.empty()) {
        const ssize_t sent = ::send(socket_.get(), pending_.data(), pending_.size(), MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == ENOTCONN)) return;
        if (sent < 0) return finish("cannot send");
        pending_.remove_prefix(static_cast<std::size_t>(sent));
    }
    if (step_ != Step::Text || !work_.stays) return;
    step_ = Step::Staying;
    ended_(*this, {});
}

void MailClient::finish(const std::string& failure) {
    if (step_ == Step::Over) return;
    step_ = Step::Over;
    socket_.reset();
    ended_(*this, failure);
}

bool MailClient::gone() const {
    pollfd state{.fd = socket_.get(), .events = POLLRDHUP, .revents = 0};
    return poll(&state, 1, 0) > 0;
}

}  // namespace muster::bench
