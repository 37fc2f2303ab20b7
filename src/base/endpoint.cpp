#include "base/endpoint.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

namespace muster {
namespace {

constexpr IpAddress::V6 kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};
constexpr std::size_t kMappedBytes = 12;
constexpr unsigned kMappedBits = 96;

/// Decimal digits only, no sign, no leading zero but "0" itself.
std::optional<unsigned> number(std::string_view text, unsigned limit) {
    if (text.empty() || (text.size() > 1 && text[0] == '0')) return std::nullopt;
    unsigned value = 0;
    const char* begin = text.data();
    const char* end = begin + text.size();
    auto [stop, error] = std::from_chars(begin, end, value);
    if (error != std::errc{} || stop != end || value > limit) return std::nullopt;
    return value;
}

/// inet_pton wants a terminated string; an embedded NUL must not cut the text short.
template <typename Bytes>
bool convert(int family, std::string_view text, Bytes& bytes) {
    std::array<char, INET6_ADDRSTRLEN> buffer{};
    if (text.size() >= buffer.size() || text.contains('\0')) return false;
    std::ranges::copy(text, buffer.begin());
    return inet_pton(family, buffer.data(), bytes.data()) == 1;
}

IpAddress masked(const IpAddress& address, unsigned prefix) {
    IpAddress::V6 bytes = address.v6();
    for (unsigned i = 0; i < bytes.size(); ++i) {
        unsigned kept = std::clamp(prefix, i * 8, i * 8 + 8) - i * 8;
        bytes[i] &= static_cast<std::uint8_t>(0xff00U >> kept);
    }
    return IpAddress::from_v6(bytes);
}

}  // namespace

IpAddress IpAddress::from_v4(const V4& bytes) {
    V6 mapped = kMapped;
    std::ranges::copy(bytes, mapped.begin() + kMappedBytes);
    return IpAddress(mapped);
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
    V4 v4{};
    if (convert(AF_INET, text, v4)) return from_v4(v4);
    V6 v6{};
    if (convert(AF_INET6, text, v6)) return from_v6(v6);
    return fail(ErrorKind::Syntax, "not an IP address");
}

bool IpAddress::is_v4() const {
    return std::equal(kMapped.begin(), kMapped.begin() + kMappedBytes, bytes_.begin());
}

IpAddress::V4 IpAddress::v4() const {
    V4 bytes{};
    std::copy(bytes_.begin() + kMappedBytes, bytes_.end(), bytes.begin());
    return bytes;
}

bool IpAddress::is_loopback() const {
    if (is_v4()) return bytes_[kMappedBytes] == 127;
    constexpr V6 kLoopback{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    return bytes_ == kLoopback;
}

bool IpAddress::is_unspecified() const { return bytes_ == V6{} || bytes_ == kMapped; }

std::string IpAddress::text() const {
    std::array<char, INET6_ADDRSTRLEN> buffer{};
    if (is_v4()) {
        inet_ntop(AF_INET, bytes_.data() + kMappedBytes, buffer.data(), buffer.size());
    } else {
        inet_ntop(AF_INET6, bytes_.data(), buffer.data(), buffer.size());
    }
    return buffer.data();
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
    auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return fail(ErrorKind::Syntax, "no port in the endpoint");
    auto host = text.substr(0, colon);
    bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) host = host.substr(1, host.size() - 2);
    if (host.contains(':') != bracketed)
        return fail(ErrorKind::Syntax, "an IPv6 endpoint is written [ADDRESS]:PORT");
    auto port = number(text.substr(colon + 1), 65535);
    if (!port) return fail(ErrorKind::Syntax, "not a port number");
    auto address = IpAddress::parse(host);
    if (!address) return std::unexpected(address.error());
    return Endpoint{*address, static_cast<std::uint16_t>(*port)};
}

std::string Endpoint::text() const {
    std::string host = address.text();
    if (!address.is_v4()) host = '[' + host + ']';
    return host + ':' + std::to_string(port);
}

Network::Network(const IpAddress& base, unsigned prefix)
    : base_(masked(base, prefix)), prefix_(prefix) {}

Result<Network> Network::parse(std::string_view text) {
    auto slash = text.find('/');
    auto host = text.substr(0, slash);
    auto address = IpAddress::parse(host);
    if (!address) return std::unexpected(address.error());
    if (slash == std::string_view::npos) return Network(*address, 128);
    bool dotted = !host.contains(':');
    auto bits = number(text.substr(slash + 1), dotted ? 32 : 128);
    if (!bits) return fail(ErrorKind::Syntax, "not a prefix length");
    unsigned prefix = dotted ? kMappedBits + *bits : *bits;
    if (address->is_v4() && prefix < kMappedBits)
        return fail(ErrorKind::Syntax, "the prefix of an IPv4-mapped network is at least 96");
    return Network(*address, prefix);
}

bool Network::contains(const IpAddress& address) const {
    return address.is_v4() == base_.is_v4() && masked(address, prefix_) == base_;
}

std::string Network::text() const {
    return base_.text() + '/' + std::to_string(base_.is_v4() ? prefix_ - kMappedBits : prefix_);
}

bool any_contains(std::span<const Network> networks, const IpAddress& address) {
    return std::ranges::any_of(networks, [&](const auto& net) { return net.contains(address); });
}

}  // namespace muster
