#pragma once
// One SMTP client of the mail load, driven by the event loop.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "event_loop.h"

namespace muster::bench {

/// What the clients of a mail load do, and where.
struct MailWork {
    sockaddr_in address{};
    int users = 1;  // user0@DOMAIN … are the accounts
    std::string domain;
    int sources = 1;     // clients spread over that many loopback addresses
    std::string text;    // of each message, with its final dot
    int guesses = 0;     // so many RCPTs at once for addresses that nobody has; 0: messages
    bool stays = false;  // holds the session before the final dot
};

/// A client's story: connect, greeting, EHLO, then its share of messages, each with MAIL, RCPT and
/// DATA in one packet, QUIT, end of stream. Tells its end once; an empty `failure` is success. One
/// thread.
class MailClient final : public Watched {
public:
    using Ended = std::function<void(MailClient&, const std::string& failure)>;

    /// Messages (or guesses) `first` to `first + share - 1` are its own.
    MailClient(EventLoop& loop, const MailWork& work, std::uint32_t first, std::uint32_t share,
               Ended ended);
    void ready(std::uint32_t events) override;
    [[nodiscard]] std::uint32_t share() const { return share_; }
    /// Whether the other side has ended the session of a client that stays.
    [[nodiscard]] bool gone() const;

private:
    enum class Step { Greeting, Hello, Envelope, Text, Sender, Guesses, Leaving, Staying, Over };

    void take_lines();
    void reply(std::string_view line);
    void answered();
    void go_on();
    void send_envelope();
    void send_guesses();
    void send_text();
    void send(Step next, std::string text);
    void push();
    void finish(const std::string& failure);

    const MailWork& work_;
    const std::uint32_t first_;
    const std::uint32_t share_;
    std::uint32_t done_ = 0;
    Ended ended_;
    Step step_ = Step::Greeting;
    int awaited_ = 0;  // replies to what was sent together
    Fd socket_;
    std::string input_;
    std::string own_;
    std::string_view pending_;  // what is still to be sent, of own_ or of the work's text
};

/// A message of `size` bytes, headers included, and its final dot.
std::string make_text(std::size_t size);

}  // namespace muster::bench
