#include "cluster/mail_host.h"

#include <optional>

#include "base/endpoint.h"
#include "cluster/address.h"
#include "wire/ascii.h"

namespace muster::cluster {
namespace {

constexpr std::uint16_t kSmtp = 25;

std::unexpected<Error> no_host(std::string_view text) {
    return fail(ErrorKind::Syntax, '"' + std::string(text.substr(0, 100)) + "\" is no HOST[:PORT]");
}

/// Where the port's colon stands; npos without one.
std::size_t colon_of(std::string_view text) {
    const std::size_t last = text.rfind(':');
    if (text.starts_with('[')) return last != text.npos && text[last - 1] == ']' ? last : text.npos;
    return text.find(':') == last ? last : text.npos;  // several: an IPv6 address
}

}  // namespace

Result<MailHost> MailHost::parse(std::string_view text) {
    const std::size_t colon = colon_of(text);
    std::string_view name = text.substr(0, colon);
    std::optional<std::uint64_t> port = kSmtp;
    if (colon != text.npos) port = wire::parse_number(text.substr(colon + 1), UINT16_MAX);
    if (!port || *port == 0) return no_host(text);
    if (name.starts_with('[')) {
        if (!name.ends_with(']')) return no_host(text);
        name = name.substr(1, name.size() - 2);
    }
    const auto number = static_cast<std::uint16_t>(*port);
    if (const auto address = IpAddress::parse(name)) return MailHost{address->text(), number};
    auto domain = parse_domain(name);
    if (!domain) return no_host(text);
    return MailHost{std::move(domain->text), number};
}

std::string MailHost::text() const {
    if (port == kSmtp) return name;
    const bool is_v6 = name.find(':') != name.npos;
    return (is_v6 ? '[' + name + ']' : name) + ':' + std::to_string(port);
}

}  // namespace muster::cluster
