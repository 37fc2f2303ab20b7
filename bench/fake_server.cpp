// An IMAP server that costs next to nothing: it takes every login and makes up its mail.
//
//   fake_server                      prints "port N", then serves on 127.0.0.1:N until it is ended
//
// FETCH n answers one literal of n MiB, sent from one shared memory file, so a bench says itself
// how much it wants. Everything a proxy may ask before or while it logs in is answered: ID,
// CAPABILITY, LOGIN with plain and synchronising literals, AUTHENTICATE PLAIN with and without an
// initial response.

#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "event_loop.h"

namespace muster::bench {
namespace {

constexpr std::size_t kMebibyte = 1U << 20U;
constexpr std::string_view kCapability = "CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID IDLE AUTH=PLAIN";

/// One mebibyte of mail that every connection sends from.
int mail_file() {
    static const int file = [] {
        const int fd = memfd_create("mail", MFD_CLOEXEC);
        std::string line(kMebibyte, 'm');
        for (std::size_t i = 78; i < line.size(); i += 80) line.replace(i - 2, 2, "\r\n");
        if (write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size())) die("memfd");
        return fd;
    }();
    return file;
}

/// "{12}" or "{12+}" at the end of `text` → 12, else 0.
std::size_t literal_size(const std::string& text) {
    if (text.empty() || text.back() != '}') return 0;
    const auto open = text.rfind('{');
    return open == text.npos ? 0 : std::strtoul(text.c_str() + open + 1, nullptr, 10);
}

std::string next_word(const std::string& text, std::size_t& at) {
    const auto end = std::min(text.find(' ', at), text.size());
    std::string word = text.substr(at, end - at);
    at = std::min(end + 1, text.size());
    return word;
}

bool same(const std::string& word, const char* other) {
    return strcasecmp(word.c_str(), other) == 0;
}

class Session final : public Watched {
public:
    Session(EventLoop& loop, Fd socket) : loop_(loop), socket_(std::move(socket)) {
        loop_.add(socket_.get(), EPOLLIN, this);
        output_ = "* OK [" + std::string(kCapability) + "] ready\r\n";
        flush();
    }
    void ready(std::uint32_t events) override;

private:
    bool read_input();
    void consume();
    void line(const std::string& text);
    void command(const std::string& text);
    void flush();
    bool send_mail();
    void close();

    EventLoop& loop_;
    Fd socket_;
    std::string input_;
    std::string output_;         // answers to what was read together go out together
    std::string command_;        // a command whose literal is still coming
    std::string tag_;            // of a command that goes on: AUTHENTICATE, IDLE, FETCH
    std::size_t literal_ = 0;    // bytes of the literal that are still to come
    std::size_t mail_left_ = 0;  // bytes of the FETCH literal that are still to be sent
    bool leaving_ = false;
};

void Session::ready(std::uint32_t events) {
    if (mail_left_ > 0) {
        if (send_mail()) loop_.change(socket_.get(), EPOLLIN, this);
        return;
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
    if (!read_input()) return close();
    consume();
    flush();
    if (leaving_) close();
}

bool Session::read_input() {
    char buffer[4096];
    const ssize_t got = recv(socket_.get(), buffer, sizeof buffer, 0);
    if (got > 0) input_.append(buffer, static_cast<std::size_t>(got));
    return got > 0 || (got < 0 && errno == EAGAIN);
}

void Session::consume() {
    std::size_t at = 0;
    while (!leaving_) {
        if (literal_ > 0) {
            if (input_.size() - at < literal_) break;
            command_.append(input_, at, literal_);
            at += std::exchange(literal_, 0);
        }
        const auto end = input_.find("\r\n", at);
        if (end == input_.npos) break;
        line(input_.substr(at, end - at));
        at = end + 2;
    }
    input_.erase(0, at);
    if (input_.empty()) std::string().swap(input_);
}

void Session::line(const std::string& text) {
    command_ += text;
    literal_ = literal_size(text);
    if (literal_ == 0) return command(std::exchange(command_, {}));
    if (text[text.size() - 2] != '+') output_ += "+ go on\r\n";
    command_.replace(command_.rfind('{'), command_.npos, "");
}

void Session::command(const std::string& text) {
    if (!tag_.empty()) {  // the answer to a "+": an initial response or DONE
        output_ += std::exchange(tag_, {}) + " OK done\r\n";
        return;
    }
    std::size_t at = 0;
    const std::string tag = next_word(text, at);
    const std::string verb = next_word(text, at);
    if (same(verb, "AUTHENTICATE") && text.find(' ', at) == text.npos) {
        tag_ = tag;
        output_ += "+ \r\n";
        return;
    }
    if (same(verb, "IDLE")) {
        tag_ = tag;
        output_ += "+ idling\r\n";
        return;
    }
    if (same(verb, "FETCH")) {
        const std::string count = next_word(text, at);
        mail_left_ = std::strtoul(count.c_str(), nullptr, 10) * kMebibyte;
        tag_ = tag;
        output_ += "* 1 FETCH (BODY[] {" + std::to_string(mail_left_) + "}\r\n";
        flush();
        if (!send_mail()) loop_.change(socket_.get(), EPOLLOUT, this);
        return;
    }
    if (same(verb, "CAPABILITY")) output_ += "* " + std::string(kCapability) + "\r\n";
    if (same(verb, "ID")) output_ += "* ID NIL\r\n";
    leaving_ = same(verb, "LOGOUT");
    if (leaving_) output_ += "* BYE\r\n";
    output_ += tag + " OK done\r\n";
}

bool Session::send_mail() {
    while (mail_left_ > 0) {
        off_t offset = static_cast<off_t>((kMebibyte - mail_left_ % kMebibyte) % kMebibyte);
        const std::size_t chunk = kMebibyte - static_cast<std::size_t>(offset);
        const ssize_t sent =
            sendfile(socket_.get(), mail_file(), &offset, std::min(chunk, mail_left_));
        if (sent < 0 && errno == EAGAIN) return false;
        if (sent <= 0) {
            mail_left_ = 0;
            return true;  // the next read finds the connection closed
        }
        mail_left_ -= static_cast<std::size_t>(sent);
    }
    output_ += ")\r\n" + std::exchange(tag_, {}) + " OK done\r\n";
    flush();
    return true;
}

void Session::flush() {
    if (output_.empty()) return;
    const std::string text = std::exchange(output_, {});
    // Small answers always fit into the socket's buffer; one that does not ends this bench.
    const ssize_t sent = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (sent >= 0 && static_cast<std::size_t>(sent) != text.size()) die("short write");
}

void Session::close() {
    socket_.reset();
    loop_.retire(std::unique_ptr<Watched>(this));
}

}  // namespace
}  // namespace muster::bench

int main() {
    using namespace muster::bench;
    EventLoop loop;
    Fd listener = listen_loopback();
    std::printf("port %u\n", local_port(listener));
    std::fflush(stdout);
    loop.listen(std::move(listener), [&loop](Fd client) { new Session(loop, std::move(client)); });
    loop.run();
}
