// A mail server that costs next to nothing: it takes every message and forgets it.
//
//   mail_sink [--xclient 1]          prints "lmtp N" and "smtp M", then serves on 127.0.0.1
//
// Each line on standard input is answered with one line of JSON: messages and bytes so far, and
// when (CLOCK_MONOTONIC, seconds) the first since the last question and the last one came. It ends
// with its standard input. --xclient 1: it asks to be told for whom a message is.

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

#include "event_loop.h"
#include "options.h"

namespace muster::bench {
namespace {

constexpr std::string_view kEndOfText = "\r\n.\r\n";

std::array<char, 256U * 1024U> scratch;

double now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

/// What came so far.
class Tally {
public:
    void message() {
        last_ = now();
        if (first_ == 0) first_ = last_;
        ++messages_;
    }
    void bytes(std::size_t count) { bytes_ += count; }
    void print() {
        std::printf("{\"messages\": %llu, \"bytes\": %llu, \"first\": %.6f, \"last\": %.6f}\n",
                    messages_, bytes_, first_, last_);
        std::fflush(stdout);
        first_ = 0;
    }

private:
    unsigned long long messages_ = 0;
    unsigned long long bytes_ = 0;
    double first_ = 0;
    double last_ = 0;
};

struct Dialect {
    bool lmtp = false;
    bool xclient = false;
};

class Session final : public Watched {
public:
    Session(EventLoop& loop, Fd socket, Dialect dialect, Tally& tally)
        : loop_(loop), socket_(std::move(socket)), dialect_(dialect), tally_(tally) {
        loop_.add(socket_.get(), EPOLLIN, this);
        output_ = "220 sink.test ready\r\n";
        flush();
    }
    void ready(std::uint32_t events) override;

private:
    void consume(std::string_view input);
    std::string_view take_text(std::string_view input);
    std::string_view take_line(std::string_view input);
    void command(std::string_view line);
    void hello();
    void end_text();
    void flush();
    void close();

    EventLoop& loop_;
    Fd socket_;
    const Dialect dialect_;
    Tally& tally_;
    std::string input_;   // a line whose end is still to come
    std::string output_;  // answers to what was read together go out together
    std::size_t recipients_ = 0;
    std::size_t matched_ = 0;  // of kEndOfText, at the end of what came of the text
    bool in_text_ = false;
    bool leaving_ = false;
};

void Session::ready(std::uint32_t) {
    const ssize_t got = recv(socket_.get(), scratch.data(), scratch.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return close();
    tally_.bytes(static_cast<std::size_t>(got));
    consume({scratch.data(), static_cast<std::size_t>(got)});
    flush();
    if (leaving_) close();
}

void Session::consume(std::string_view input) {
    while (!input.empty() && !leaving_) input = in_text_ ? take_text(input) : take_line(input);
}

/// Passes over the message's text; gives what follows its end.
std::string_view Session::take_text(std::string_view input) {
    while (matched_ > 0 && !input.empty()) {  // an end may be cut in two
        if (input.front() == kEndOfText[matched_]) {
            input.remove_prefix(1);
            if (++matched_ == kEndOfText.size()) return end_text(), input;
        } else if (matched_ == 1 || kEndOfText.front() != input.front()) {
            matched_ = 0;
        } else {
            matched_ = 1;
            input.remove_prefix(1);
        }
    }
    const void* end = memmem(input.data(), input.size(), kEndOfText.data(), kEndOfText.size());
    if (end != nullptr) {
        input.remove_prefix(static_cast<std::size_t>(static_cast<const char*>(end) - input.data()) +
                            kEndOfText.size());
        end_text();
        return input;
    }
    if (input.empty()) return input;
    for (matched_ = std::min(kEndOfText.size() - 1, input.size()); matched_ > 0; --matched_) {
        if (input.ends_with(kEndOfText.substr(0, matched_))) break;
    }
    return {};
}

void Session::end_text() {
    const std::size_t answers = dialect_.lmtp ? recipients_ : 1;
    for (std::size_t i = 0; i < answers; ++i) output_ += "250 2.0.0 taken\r\n";
    tally_.message();
    in_text_ = false;
    recipients_ = 0;
}

std::string_view Session::take_line(std::string_view input) {
    const auto end = input.find('\n');
    if (end == input.npos) {
        input_ += input;
        return {};
    }
    if (input_.empty()) {
        command(input.substr(0, end));
    } else {
        input_ += input.substr(0, end);
        command(input_);
        input_.clear();
    }
    return input.substr(end + 1);
}

void Session::command(std::string_view line) {
    const auto is = [&](const char* verb) { return strncasecmp(line.data(), verb, 4) == 0; };
    if (line.size() < 4) {
        output_ += "500 5.5.1 what?\r\n";
    } else if (is("RCPT")) {
        ++recipients_;
        output_ += "250 2.1.5 ok\r\n";
    } else if (is("DATA")) {
        in_text_ = true;
        matched_ = 2;  // the line end of DATA: a text may be a dot only
        output_ += "354 go on\r\n";
    } else if (is("EHLO") || is("LHLO")) {
        hello();
    } else if (is("XCLI")) {
        output_ += "220 sink.test ready\r\n";
    } else if (is("QUIT")) {
        output_ += "221 2.0.0 bye\r\n";
        leaving_ = true;
    } else {
        recipients_ = 0;  // MAIL, RSET, NOOP
        output_ += "250 2.0.0 ok\r\n";
    }
}

void Session::hello() {
    output_ +=
        "250-sink.test\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-SMTPUTF8\r\n"
        "250-8BITMIME\r\n";
    if (dialect_.xclient) output_ += "250-XCLIENT NAME ADDR PORT HELO PROTO LOGIN SESSION TTL\r\n";
    output_ += "250 SIZE\r\n";
}

void Session::flush() {
    if (output_.empty()) return;
    // Small answers always fit into the socket's buffer; one that does not ends this bench.
    const ssize_t sent = ::send(socket_.get(), output_.data(), output_.size(), MSG_NOSIGNAL);
    if (sent >= 0 && static_cast<std::size_t>(sent) != output_.size()) die("short write");
    output_.clear();
}

void Session::close() {
    socket_.reset();
    loop_.retire(std::unique_ptr<Watched>(this));
}

/// Standard input: questions.
class Questions final : public Watched {
public:
    Questions(EventLoop& loop, Tally& tally) : tally_(tally) {
        loop.add(STDIN_FILENO, EPOLLIN, this);
    }
    void ready(std::uint32_t) override {
        std::array<char, 64> bytes;
        const ssize_t got = read(STDIN_FILENO, bytes.data(), bytes.size());
        if (got <= 0) std::exit(0);
        for (ssize_t i = 0; i < got; ++i) {
            if (bytes[static_cast<std::size_t>(i)] == '\n') tally_.print();
        }
    }

private:
    Tally& tally_;
};

void serve(EventLoop& loop, const char* name, Dialect dialect, Tally& tally) {
    Fd listener = listen_loopback();
    std::printf("%s %u\n", name, local_port(listener));
    loop.listen(std::move(listener), [&loop, &tally, dialect](Fd client) {
        new Session(loop, std::move(client), dialect, tally);
    });
}

}  // namespace
}  // namespace muster::bench

int main(int argc, char** argv) {
    using namespace muster::bench;
    const Options options(argc, argv, 1);
    const bool xclient = options.number("xclient", 0) != 0;
    EventLoop loop;
    Tally tally;
    serve(loop, "lmtp", {.lmtp = true, .xclient = xclient}, tally);
    serve(loop, "smtp", {.lmtp = false, .xclient = xclient}, tally);
    std::fflush(stdout);
    const Questions questions(loop, tally);
    loop.run();
}
