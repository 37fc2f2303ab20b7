#pragma once
// IP addresses, endpoints (address and port) and networks as small values; text in, text out.

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace muster {

/// An IPv4 or IPv6 address. IPv4 is kept as ::ffff:a.b.c.d, so an IPv4-mapped IPv6 address *is*
/// the IPv4 address: both compare equal and print as IPv4. The default is `::`, "no address".
class IpAddress {
public:
    using V4 = std::array<std::uint8_t, 4>;
    using V6 = std::array<std::uint8_t, 16>;

    IpAddress() = default;
    static IpAddress from_v4(const V4& bytes);
    static IpAddress from_v6(const V6& bytes) { return IpAddress(bytes); }
    /// "192.0.2.1", "2001:db8::1"; no brackets, no zone, no spaces.
    static Result<IpAddress> parse(std::string_view text);

    [[nodiscard]] bool is_v4() const;
    [[nodiscard]] bool is_loopback() const;     ///< 127.0.0.0/8 or ::1
    [[nodiscard]] bool is_unspecified() const;  ///< `::` or 0.0.0.0
    [[nodiscard]] V4 v4() const;                ///< meaningful if is_v4()
    [[nodiscard]] const V6& v6() const { return bytes_; }
    /// Shortest form (RFC 5952).
    [[nodiscard]] std::string text() const;

    friend bool operator==(const IpAddress&, const IpAddress&) = default;
    friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

private:
    explicit IpAddress(const V6& bytes) : bytes_(bytes) {}

    V6 bytes_{};
};

/// Where something listens or connects from.
struct Endpoint {
    IpAddress address;
    std::uint16_t port = 0;

    /// "127.0.0.1:143" or "[::1]:143"; the port is required, 0 is allowed ("any").
    static Result<Endpoint> parse(std::string_view text);
    [[nodiscard]] std::string text() const;

    friend bool operator==(const Endpoint&, const Endpoint&) = default;
    friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

/// A range of addresses of one family: "10.0.0.0/8", "2001:db8::/32", or a single address.
/// Bits behind the prefix are cleared.
class Network {
public:
    static Result<Network> parse(std::string_view text);

    [[nodiscard]] bool contains(const IpAddress& address) const;
    /// Whether all of `other` is in it.
    [[nodiscard]] bool contains(const Network& other) const {
        return prefix_ <= other.prefix_ && contains(other.base_);
    }
    [[nodiscard]] std::string text() const;

    friend bool operator==(const Network&, const Network&) = default;

private:
    Network(const IpAddress& base, unsigned prefix);

    IpAddress base_;
    unsigned prefix_;  ///< of 128 bits, an IPv4 prefix counts from 96
};

[[nodiscard]] bool any_contains(std::span<const Network> networks, const IpAddress& address);

}  // namespace muster

template <>
struct std::hash<muster::IpAddress> {
    std::size_t operator()(const muster::IpAddress& address) const noexcept {
        const auto& bytes = address.v6();
        return std::hash<std::string_view>{}(
            {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
};
