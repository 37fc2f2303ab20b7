#include "wire/proxy_protocol.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "wire/ascii.h"

namespace muster::wire::proxy_protocol {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::string_view kSignatureV1 = "PROXY ";
constexpr std::string_view kSignatureV2 = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr std::size_t kShortestV1 = 15;  // "PROXY UNKNOWN" CRLF
constexpr std::size_t kFixedV2 = 16;

constexpr std::uint8_t kLocal = 0x20;  // version 2 in the high nibble
constexpr std::uint8_t kProxy = 0x21;
constexpr std::uint8_t kUnspecified = 0x00;
constexpr std::uint8_t kTcp4 = 0x11;
constexpr std::uint8_t kTcp6 = 0x21;
constexpr std::uint8_t kUnixStream = 0x31;

auto syntax(const char* text) { return fail(ErrorKind::Syntax, text); }

bool is_prefix(std::string_view bytes, std::string_view signature) {
    return bytes.substr(0, signature.size()) == signature.substr(0, bytes.size());
}

std::optional<Endpoint> endpoint(std::string_view address, std::string_view port, bool dotted) {
    auto ip = IpAddress::parse(address);
    auto number = parse_number(port, 65535);
    if (!ip || !number || address.contains(':') == dotted) return std::nullopt;
    return Endpoint{*ip, static_cast<std::uint16_t>(*number)};
}

/// The line without CRLF.
Result<Parsed> parse_line(std::string_view line, std::size_t size) {
    Header header;
    header.size = size;
    line.remove_prefix(kSignatureV1.size());
    auto family = take_until(line, ' ');
    if (family == "UNKNOWN") return header;
    if (family != "TCP4" && family != "TCP6") return syntax("unknown family in a PROXY header");
    auto from = take_until(line, ' ');
    auto to = take_until(line, ' ');
    auto from_port = take_until(line, ' ');
    bool dotted = family == "TCP4";
    auto source = endpoint(from, from_port, dotted);
    auto destination = endpoint(to, line, dotted);
    if (!source || !destination) return syntax("invalid address in a PROXY header");
    header.local = false;
    header.source = *source;
    header.destination = *destination;
    return header;
}

Result<Parsed> parse_v1(std::string_view bytes) {
    auto window = bytes.substr(0, kMaxV1);
    auto end = window.find('\n');
    if (end == std::string_view::npos) {
        if (window.size() == kMaxV1) return fail(ErrorKind::Limit, "PROXY header too long");
        return NeedMore{std::max(bytes.size() + 1, kShortestV1)};
    }
    if (end == 0 || window[end - 1] != '\r') return syntax("PROXY header without CRLF");
    return parse_line(window.substr(0, end - 1), end + 1);
}

std::uint8_t octet(std::string_view bytes, std::size_t at) {
    return static_cast<std::uint8_t>(bytes[at]);
}

std::uint16_t big_endian(std::string_view bytes, std::size_t at) {
    return static_cast<std::uint16_t>(octet(bytes, at) << 8 | octet(bytes, at + 1));
}

template <std::size_t kSize>
std::array<std::uint8_t, kSize> octets(std::string_view bytes, std::size_t at) {
    std::array<std::uint8_t, kSize> out{};
    for (std::size_t i = 0; i < kSize; ++i) out[i] = octet(bytes, at + i);
    return out;
}

/// The addresses at the start of the block behind the fixed part; TLVs after them are ignored.
Result<Parsed> parse_addresses(std::uint8_t family, std::string_view block, Header header) {
    if (family == kTcp4 && block.size() >= 12) {
        header.source = {IpAddress::from_v4(octets<4>(block, 0)), big_endian(block, 8)};
        header.destination = {IpAddress::from_v4(octets<4>(block, 4)), big_endian(block, 10)};
    } else if (family == kTcp6 && block.size() >= 36) {
        header.source = {IpAddress::from_v6(octets<16>(block, 0)), big_endian(block, 32)};
        header.destination = {IpAddress::from_v6(octets<16>(block, 16)), big_endian(block, 34)};
    } else {
        return syntax("unknown family in a PROXY header");
    }
    header.local = false;
    return header;
}

Result<Parsed> parse_v2(std::string_view bytes) {
    if (bytes.size() < kFixedV2) return NeedMore{kFixedV2};
    std::uint8_t command = octet(bytes, 12);
    if (command != kLocal && command != kProxy) return syntax("unknown PROXY command");
    std::size_t size = kFixedV2 + big_endian(bytes, 14);
    if (size > kMaxV2) return fail(ErrorKind::Limit, "PROXY header too long");
    if (bytes.size() < size) return NeedMore{size};
    Header header;
    header.size = size;
    std::uint8_t family = octet(bytes, 13);
    bool addressless = family == kUnspecified || family == kUnixStream;
    if (command == kLocal || addressless) return header;
    return parse_addresses(family, bytes.substr(kFixedV2, size - kFixedV2), header);
}

void append_number(std::string& out, std::size_t number) {
    out += static_cast<char>(number >> 8 & 0xff);
    out += static_cast<char>(number & 0xff);
}

template <typename Bytes>
void append_bytes(std::string& out, const Bytes& bytes) {
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

std::string fixed_part(std::uint8_t command, std::uint8_t family, std::size_t length) {
    std::string out(kSignatureV2);
    out += static_cast<char>(command);
    out += static_cast<char>(family);
    append_number(out, length);
    return out;
}

bool both_v4(const Endpoint& a, const Endpoint& b) {
    return a.address.is_v4() && b.address.is_v4();
}

}  // namespace

Result<Parsed> parse(std::string_view bytes) {
    if (is_prefix(bytes, kSignatureV1)) {
        if (bytes.size() < kSignatureV1.size()) return NeedMore{kShortestV1};
        return parse_v1(bytes);
    }
    if (is_prefix(bytes, kSignatureV2)) return parse_v2(bytes);
    return syntax("no PROXY header");
}

std::string write_v1(const Endpoint& source, const Endpoint& destination) {
    bool v4 = both_v4(source, destination);
    // Mixed families: an IPv4 address is written as IPv4-mapped IPv6.
    auto text = [&](const IpAddress& ip) {
        return !v4 && ip.is_v4() ? "::ffff:" + ip.text() : ip.text();
    };
    std::string line = v4 ? "PROXY TCP4 " : "PROXY TCP6 ";
    line.append(text(source.address)).append(" ").append(text(destination.address)).append(" ");
    line.append(std::to_string(source.port)).append(" ").append(std::to_string(destination.port));
    return line += "\r\n";
}

std::string write_v2(const Endpoint& source, const Endpoint& destination) {
    bool v4 = both_v4(source, destination);
    std::string out = fixed_part(kProxy, v4 ? kTcp4 : kTcp6, v4 ? 12 : 36);
    for (const auto& address : {source.address, destination.address}) {
        if (v4) {
            append_bytes(out, address.v4());
        } else {
            append_bytes(out, address.v6());
        }
    }
    append_number(out, source.port);
    append_number(out, destination.port);
    return out;
}

std::string write_v2_local() { return fixed_part(kLocal, kUnspecified, 0); }

}  // namespace muster::wire::proxy_protocol
