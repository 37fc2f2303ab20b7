#include "wire/introduction.h"

#include <algorithm>

#include "base/base64.h"
#include "wire/ascii.h"
#include "wire/tabescape.h"

namespace muster::wire {

Result<> check(const Introduction& introduction) {
    auto session = introduction.session_id;
    if (session.size() > kMaxSessionId || !std::ranges::all_of(session, is_graphic))
        return fail(ErrorKind::Limit, "session id cannot be sent on");
    for (const auto& field : introduction.forward) {
        bool name = !field.name.empty() && field.name.size() <= kMaxForwardName &&
                    !field.name.contains('=') && std::ranges::all_of(field.name, is_graphic);
        if (!name || field.value.size() > kMaxForwardValue || !fits_a_line(field.value))
            return fail(ErrorKind::Limit, "forward field cannot be sent on");
    }
    return {};
}

namespace {

/// `name=value` fields, each tab-escaped, separated by tabs, in base64.
std::string forward_base64(std::span<const ForwardField> fields) {
    std::string text;
    for (const auto& field : fields) {
        if (!text.empty()) text += '\t';
        append_tabescaped(text, field.name);
        text += '=';
        append_tabescaped(text, field.value);
    }
    return base64_encode(text);
}

}  // namespace

Result<std::string> write_xclient(const Introduction& introduction) {
    if (auto valid = check(introduction); !valid) return std::unexpected(valid.error());
    const auto& client = introduction.client;
    std::string line = "XCLIENT ADDR=" + client.address.text();
    line += " PORT=" + std::to_string(client.port);
    if (!introduction.session_id.empty()) line.append(" SESSION=").append(introduction.session_id);
    line += " TTL=" + std::to_string(introduction.ttl);
    if (!introduction.forward.empty()) line += " FORWARD=" + forward_base64(introduction.forward);
    line += "\r\n";
    if (line.size() > kMaxXclient) {
        return fail(ErrorKind::Limit, "Names are too long.",
                    "XCLIENT would be longer than " + std::to_string(kMaxXclient) + " octets");
    }
    return line;
}

}  // namespace muster::wire
