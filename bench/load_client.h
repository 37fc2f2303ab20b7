#pragma once
// One IMAP client connection of the load tool: blocking, plain or TLS.

#include <array>
#include <cstdint>
#include <string>

#include "sockets.h"
#include "tls.h"

namespace muster::bench {

/// Where and as whom a load connects.
struct LoadTarget {
    sockaddr_in address{};
    SSL_CTX* tls = nullptr;  // plain when empty
    int users = 1;           // user0@DOMAIN … are the accounts
    std::string domain;
    int sources = 1;  // clients spread over that many loopback addresses
};

/// A login's story is the constructor (connect, TLS, greeting), log_in(), what the load does, and
/// log_out(). Everything unexpected throws std::runtime_error: the load counts it as a failure.
class LoadClient {
public:
    /// `number` chooses the user and the source address.
    LoadClient(const LoadTarget& target, std::uint32_t number);
    void log_in();
    void log_out();
    /// Fetches one literal of that many MiB and forgets it.
    void fetch(int mebibytes);
    int descriptor() const { return socket_.get(); }

private:
    void send(const std::string& text);
    std::size_t receive(char* data, std::size_t size);
    std::string line();
    void expect(std::string_view start);
    void discard(std::size_t size);

    const LoadTarget& target_;
    std::uint32_t number_;
    Fd socket_;
    Tls tls_;
    std::string input_;
};

}  // namespace muster::bench
