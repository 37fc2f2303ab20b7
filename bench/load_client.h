#pragma once
// One IMAP client of the load tool, plain or TLS, driven by the event loop.

#include <cstdint>
#include <functional>
#include <string>

#include "event_loop.h"
#include "tls.h"

namespace muster::bench {

/// Where and as whom a load connects, and what its clients do.
struct LoadTarget {
    sockaddr_in address{};
    SSL_CTX* tls = nullptr;  // plain when empty
    int users = 1;           // user0@DOMAIN … are the accounts
    std::string domain;
    int sources = 1;     // clients spread over that many loopback addresses
    int mebibytes = 0;   // fetched once logged in; 0: nothing
    bool stays = false;  // holds the session instead of logging out
};

/// A client's story: connect, TLS, greeting, LOGIN, perhaps FETCH, LOGOUT, end of stream; or it
/// stays after its LOGIN. Tells its end once; an empty `failure` is success. One thread.
class LoadClient final : public Watched {
public:
    using Ended = std::function<void(LoadClient&, const std::string& failure)>;

    /// `number` chooses the user and the source address.
    LoadClient(EventLoop& loop, const LoadTarget& target, std::uint32_t number, Ended ended);
    void ready(std::uint32_t events) override;
    /// Whether the other side has ended the session of a client that stays.
    bool gone() const;

private:
    enum class Step { Handshake, Greeting, Login, Fetch, Logout, Leaving, Staying, Over };

    bool handshake();
    /// What a read moved: bytes, 0 for the end of the stream, nothing when it must wait.
    static constexpr int kWait = -1;
    int receive();
    int receive_plain(char* data, int size, int flags);
    int receive_tls(char* data, int size);
    void take_lines();
    void line(const std::string& text);
    void send(Step next, const std::string& text);
    void finish(const std::string& failure);

    const LoadTarget& target_;
    std::uint32_t number_;
    Ended ended_;
    Step step_;
    Fd socket_;
    Tls tls_;
    std::string input_;
    std::size_t literal_left_ = 0;
};

}  // namespace muster::bench
