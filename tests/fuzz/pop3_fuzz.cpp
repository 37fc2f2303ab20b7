// POP3: commands, responses, the CAPA listing, XCLIENT.
#include "fuzz.h"
#include "wire/ascii.h"
#include "wire/pop3.h"

namespace muster::wire::pop3 {
namespace {

void command(std::string_view line) {
    auto command = parse_command(line);
    if (!command) return;
    MUST(command->verb.size() <= kMaxVerb && fuzz::inside(command->rest, line));
    auto written = write_command(command->verb, command->rest);
    MUST(written && written->ends_with("\r\n"));
    written->resize(written->size() - 2);
    auto again = parse_command(*written);
    MUST(again && again->verb == command->verb && again->rest == command->rest);
}

void response(std::string_view line) {
    auto response = parse_response(line);
    if (!response) return;
    MUST(fuzz::inside(response->code, line) && fuzz::inside(response->text, line));
    MUST(!offers_xclient(*response) || response->kind == ResponseKind::Ok);
}

void listing(std::string_view stream) {
    CapabilityListing listing;
    while (!stream.empty()) {
        auto done = listing.add(take_until(stream, '\n'));
        if (!done || *done) break;
    }
    auto written = write_capabilities(listing.capabilities());
    MUST(written.ends_with("\r\n.\r\n") && written.find("\r\n.\r\n") == written.size() - 5);
    CapabilityListing again;
    std::string_view lines = written;
    lines.remove_prefix(std::string_view("+OK\r\n").size());
    while (!*again.add(lines.substr(0, lines.find("\r\n"))))
        lines.remove_prefix(lines.find('\n') + 1);
    MUST(again.capabilities() == listing.capabilities());
}

void xclient(const std::uint8_t* data, std::size_t size) {
    FuzzedDataProvider provider(data, size);
    auto session = provider.ConsumeRandomLengthString(80);
    auto name = provider.ConsumeRandomLengthString(30);
    auto value = provider.ConsumeRemainingBytesAsString();
    std::array fields{ForwardField{name, value}};
    auto line = write_xclient({.session_id = session, .forward = fields});
    if (!line) return;
    MUST(line->size() <= kMaxXclient && line->ends_with("\r\n"));
    MUST(fits_a_line(std::string_view(*line).substr(0, line->size() - 2)));
}

}  // namespace
}  // namespace muster::wire::pop3

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace muster::wire::pop3;
    auto text = muster::fuzz::text(data, size);
    command(text);
    response(text);
    listing(text);
    xclient(data, size);
    return 0;
}
