#pragma once
// A DNS server for tests, with a table instead of zones.

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "net/socket_address.h"

namespace muster::net {

inline std::string wire_name(std::string_view name) {
    std::string wire;
    while (!name.empty()) {
        const std::string_view label = name.substr(0, name.find('.'));
        wire += static_cast<char>(label.size());
        wire += label;
        name.remove_prefix(std::min(label.size() + 1, name.size()));
    }
    return wire + '\0';
}

inline std::string u16(unsigned value) {
    return {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)};
}

/// Answers over UDP on loopback from a table; names that are not in it do not exist, and
/// `silent.example` gets no answer at all.
class DnsServer {
public:
    using Key = std::pair<std::string, unsigned>;  ///< wire name and type
    std::map<Key, std::vector<std::string>> records;

    DnsServer() {
        SocketAddress any(*Endpoint::parse("127.0.0.1:0"));
        EXPECT_EQ(bind(fd_, any.data(), any.length), 0);
        socklen_t length = sizeof any.storage;
        EXPECT_EQ(getsockname(fd_, any.data(), &length), 0);
        name_ = "127.0.0.1@" + std::to_string(any.endpoint().port);
    }
    ~DnsServer() {
        eventfd_write(stop_, 1);
        if (thread_.joinable()) thread_.join();
        close(fd_);
        close(stop_);
    }
    DnsServer(const DnsServer&) = delete;
    DnsServer& operator=(const DnsServer&) = delete;

    void start() {
        thread_ = std::thread([this] { serve(); });
    }
    [[nodiscard]] const std::string& name() const { return name_; }

private:
    void serve() {
        for (;;) {
            std::array<pollfd, 2> wanted{pollfd{fd_, POLLIN, 0}, pollfd{stop_, POLLIN, 0}};
            poll(wanted.data(), wanted.size(), -1);
            if (wanted[1].revents != 0) return;
            std::array<char, 512> query{};
            SocketAddress from;
            const auto size =
                recvfrom(fd_, query.data(), query.size(), 0, from.data(), &from.length);
            if (size < 17) continue;
            const std::string reply = answer({query.data(), static_cast<std::size_t>(size)});
            if (!reply.empty()) {
                sendto(fd_, reply.data(), reply.size(), 0, from.data(), from.length);
            }
        }
    }
    std::string answer(std::string_view query) {
        const std::size_t end = query.find('\0', 12) + 1;
        const std::string name(query.substr(12, end - 12));
        const unsigned type = static_cast<unsigned char>(query[end + 1]);
        if (name == wire_name("silent.example")) return {};
        bool exists = false;
        for (const auto& [key, unused] : records) exists = exists || key.first == name;
        const auto found = records.find({name, type});
        const std::size_t count = found == records.end() ? 0 : found->second.size();
        std::string reply(query.substr(0, 2));
        reply += exists ? std::string("\x81\x80", 2) : std::string("\x81\x83", 2);
        reply += u16(1) + u16(static_cast<unsigned>(count)) + u16(0) + u16(0);
        reply += query.substr(12, end + 4 - 12);
        for (std::size_t i = 0; i < count; ++i) {
            const std::string& data = found->second[i];
            reply += name + u16(type) + u16(1) + u16(0) + u16(300);
            reply += u16(static_cast<unsigned>(data.size())) + data;
        }
        return reply;
    }

    int fd_ = socket(AF_INET, SOCK_DGRAM, 0);
    int stop_ = eventfd(0, 0);
    std::string name_;
    std::thread thread_;
};

}  // namespace muster::net
