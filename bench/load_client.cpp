#include "load_client.h"

#include <sys/socket.h>

#include <stdexcept>
#include <vector>

namespace muster::bench {
namespace {

constexpr std::uint32_t kFirstSource = 0x7F010001;  // 127.1.0.1

std::uint32_t source_for(const LoadTarget& target, std::uint32_t number) {
    return kFirstSource + number % static_cast<std::uint32_t>(target.sources);
}

}  // namespace

LoadClient::LoadClient(const LoadTarget& target, std::uint32_t number)
    : target_(target),
      number_(number),
      socket_(connect_blocking(target.address, source_for(target, number))) {
    if (target.tls) {
        tls_ = tls_on(target.tls, socket_.get());
        if (SSL_connect(tls_.get()) != 1) throw std::runtime_error("TLS handshake failed");
    }
    expect("* OK");
}

void LoadClient::log_in() {
    const auto user = number_ % static_cast<std::uint32_t>(target_.users);
    send("a LOGIN user" + std::to_string(user) + "@" + target_.domain + " password\r\n");
    expect("a OK");
}

void LoadClient::log_out() {
    send("z LOGOUT\r\n");
    expect("z OK");
    char rest[64];
    while (receive(rest, sizeof rest) > 0) continue;
}

void LoadClient::fetch(int mebibytes) {
    send("f FETCH " + std::to_string(mebibytes) + " BODY[]\r\n");
    std::string answer;
    do answer = line();
    while (answer.find('{') == answer.npos);
    discard(std::stoul(answer.substr(answer.find('{') + 1)));
    expect("f OK");
}

/// Reads lines up to the one that begins with `start`; a refusal or an end before it throws.
void LoadClient::expect(std::string_view start) {
    for (;;) {
        const std::string answer = line();
        if (answer.starts_with(start)) return;
        if (!answer.starts_with("* ") && answer != ")")
            throw std::runtime_error("unexpected answer: " + answer);
    }
}

std::string LoadClient::line() {
    std::size_t end;
    while ((end = input_.find("\r\n")) == input_.npos) {
        std::array<char, 4096> buffer;
        const std::size_t got = receive(buffer.data(), buffer.size());
        if (got == 0) throw std::runtime_error("connection closed early");
        input_.append(buffer.data(), got);
    }
    std::string text = input_.substr(0, end);
    input_.erase(0, end + 2);
    if (input_.empty()) std::string().swap(input_);
    return text;
}

void LoadClient::discard(std::size_t size) {
    const std::size_t known = std::min(size, input_.size());
    input_.erase(0, known);
    size -= known;
    std::vector<char> buffer(256U * 1024U);
    while (size > 0) {
        const std::size_t want = std::min(size, buffer.size());
        // MSG_TRUNC makes the kernel drop plain bytes without copying them.
        const ssize_t got = tls_ ? static_cast<ssize_t>(receive(buffer.data(), want))
                                 : recv(socket_.get(), nullptr, want, MSG_TRUNC);
        if (got <= 0) throw std::runtime_error("connection closed in a literal");
        size -= static_cast<std::size_t>(got);
    }
}

void LoadClient::send(const std::string& text) {
    const ssize_t sent = tls_ ? SSL_write(tls_.get(), text.data(), static_cast<int>(text.size()))
                              : ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(text.size())) throw std::runtime_error("cannot send");
}

/// 0 at the end of the stream, however it came.
std::size_t LoadClient::receive(char* data, std::size_t size) {
    const ssize_t got = tls_ ? SSL_read(tls_.get(), data, static_cast<int>(size))
                             : recv(socket_.get(), data, size, 0);
    return got > 0 ? static_cast<std::size_t>(got) : 0;
}

}  // namespace muster::bench
