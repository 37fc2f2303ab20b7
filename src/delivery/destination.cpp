#include <array>
#include <charconv>

#include "cluster/address.h"
#include "delivery/mx_hosts.h"
#include "wire/ascii.h"

namespace muster::delivery {
namespace {

constexpr std::string_view kV6 = "IPv6:";

std::unexpected<Error> not_a_destination(std::string_view text) {
    return fail(ErrorKind::Syntax, "\"" + std::string(text.substr(0, 100)) +
                                       "\" is not a domain, [host] or [address] with a port");
}

/// What stands between brackets: an address, or a host's name.
Result<Destination> bracketed(std::string_view inside, std::uint16_t port) {
    const bool v6 = wire::starts_folded(inside, kV6);
    const auto address = IpAddress::parse(v6 ? inside.substr(kV6.size()) : inside);
    if (address && (!v6 || !address->is_v4())) {
        return Destination{Destination::Kind::Host, address->text(), port};
    }
    if (v6) return not_a_destination(inside);
    const auto name = cluster::parse_domain(inside);
    if (!name) return std::unexpected(name.error());
    return Destination{Destination::Kind::Host, name->text, port};
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
    const auto number = wire::parse_number(text, UINT16_MAX);
    if (!number || *number == 0) return std::nullopt;
    return static_cast<std::uint16_t>(*number);
}

}  // namespace

Result<Destination> Destination::of_domain(std::string_view domain) {
    constexpr std::uint16_t kSmtp = 25;
    if (!domain.starts_with('[')) {
        const auto name = cluster::parse_domain(domain);
        if (!name) return std::unexpected(name.error());
        return Destination{Kind::Domain, name->text, kSmtp};
    }
    if (!domain.ends_with(']')) return not_a_destination(domain);
    auto literal = bracketed(domain.substr(1, domain.size() - 2), kSmtp);
    // A literal is an address: a name in brackets is nobody's recipient.
    if (literal && !IpAddress::parse(literal->name)) return not_a_destination(domain);
    return literal;
}

Result<Destination> Destination::parse(std::string_view text) {
    const bool in_brackets = text.starts_with('[');
    const std::size_t end = in_brackets ? text.find(']') : text.find(':');
    if (in_brackets && end == std::string_view::npos) return not_a_destination(text);
    std::string_view name = text.substr(0, end);
    std::string_view rest = text.substr(std::min(end, text.size()));
    if (in_brackets) {
        name.remove_prefix(1);
        rest.remove_prefix(1);
    }
    std::optional<std::uint16_t> port = 25;
    if (!rest.empty()) {
        port = rest.starts_with(':') ? parse_port(rest.substr(1)) : std::nullopt;
    }
    if (!port) return not_a_destination(text);
    if (in_brackets) return bracketed(name, *port);
    const auto domain = cluster::parse_domain(name);
    if (!domain) return std::unexpected(domain.error());
    return Destination{Kind::Domain, domain->text, *port};
}

std::string Destination::text() const {
    std::string result = name;
    if (kind == Kind::Host) {
        const bool v6 = name.find(':') != std::string::npos;
        result = (v6 ? "[IPv6:" : "[") + name + "]";
    }
    constexpr std::uint16_t kSmtp = 25;
    return port == kSmtp ? result : result + ":" + std::to_string(port);
}

}  // namespace muster::delivery
