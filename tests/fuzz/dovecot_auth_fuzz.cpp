// Dovecot's auth protocol: messages are bounded, and nothing that is written can become a second
// line or another field.
#include <algorithm>

#include "fuzz.h"
#include "wire/dovecot_auth.h"

namespace muster::wire::dovecot_auth {
namespace {

void message(std::string_view line) {
    auto message = parse_message(line);
    if (!message) return;
    MUST(line.size() <= kMaxLine);
    if (const auto* ok = std::get_if<Ok>(&*message)) {
        MUST(ok->fields.size() <= 64);
        for (const auto& field : ok->fields) MUST(ok->field(field.name));
    }
    if (const auto* mech = std::get_if<Mech>(&*message)) MUST(mech->flags.size() <= 64);
}

void request(const std::uint8_t* data, std::size_t size) {
    FuzzedDataProvider provider(data, size);
    auto mechanism = provider.ConsumeRandomLengthString(40);
    auto service = provider.ConsumeRandomLengthString(20);
    auto session = provider.ConsumeRandomLengthString(80);
    auto initial = provider.ConsumeRemainingBytesAsString();
    auto line = write_request({.id = 1,
                               .mechanism = mechanism,
                               .service = service,
                               .session_id = session,
                               .initial = initial});
    MUST(line.find('\n') == line.size() - 1 && !line.contains('\0') && !line.contains('\r'));
    MUST(std::ranges::count(line, '\t') == (session.empty() ? 6 : 7));
    auto more = write_continue(2, initial);
    MUST(more.find('\n') == more.size() - 1 && std::ranges::count(more, '\t') == 2);
    more.pop_back();
    auto again = parse_message(more);
    if (again) MUST(std::get<Continue>(*again).data == initial);
}

}  // namespace
}  // namespace muster::wire::dovecot_auth

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    muster::wire::dovecot_auth::message(muster::fuzz::text(data, size));
    muster::wire::dovecot_auth::request(data, size);
    return 0;
}
