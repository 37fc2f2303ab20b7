// Replies of SMTP servers, line by line, and what they offer: bounded, printable, never stuck.
#include <algorithm>

#include "fuzz.h"
#include "wire/ascii.h"
#include "wire/smtp_reply.h"

namespace muster::wire::smtp {
namespace {

void look_at(const Reply& reply) {
    MUST(reply.code >= 200 && reply.code <= 599);
    MUST(reply.text.size() <= kMaxReplyText + kMaxReplyLines);
    MUST(std::ranges::all_of(reply.text,
                             [](char c) { return is_graphic(c) || c == ' ' || c == '\n'; }));
    if (reply.enhanced.given()) {
        MUST(reply.enhanced.kind == reply.code / 100U);
        MUST(EnhancedStatus::parse(reply.enhanced.text()) == reply.enhanced);
    }
    const auto extensions = ServerExtensions::from(reply);
    MUST(extensions.auth.size() <= 32 && extensions.xclient.size() <= 32);
}

}  // namespace
}  // namespace muster::wire::smtp

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace muster::wire::smtp;
    auto rest = muster::fuzz::text(data, size);
    ReplyParser parser;
    while (!rest.empty()) {
        const auto complete = parser.add(muster::wire::take_until(rest, '\n'));
        if (!complete) return 0;
        if (*complete) look_at(parser.take());
    }
    return 0;
}
