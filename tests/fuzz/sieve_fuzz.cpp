// ManageSieve: commands, responses and capabilities with literals; written forms read back the
// same.
#include "fuzz.h"
#include "wire/ascii.h"
#include "wire/sieve.h"

namespace muster::wire::sieve {
namespace {

void authenticate(std::string_view rest) {
    auto request = parse_authenticate(rest);
    if (!request) return;
    MUST(fuzz::inside(request->mechanism, rest));
    MUST(fuzz::inside(request->initial.value_or(""), rest));
    auto line = write_authenticate(request->mechanism, request->initial);
    line.resize(line.size() - 2);
    auto command = parse_command(line);
    MUST(command && equal_folded(command->verb, "AUTHENTICATE"));
    auto again = parse_authenticate(command->rest);
    MUST(again && again->mechanism == request->mechanism && again->initial == request->initial);
}

void client(std::string_view text) {
    if (auto command = parse_command(text)) {
        MUST(command->verb.size() <= kMaxVerb && fuzz::inside(command->rest, text));
        authenticate(command->rest);
        (void)parse_noop(command->rest);
    }
    if (auto response = parse_response_string(text)) MUST(fuzz::inside(*response, text));
}

void server(std::string_view text) {
    auto response = parse_response(text);
    if (!response) return;
    MUST(is_response(text));
    constexpr std::string_view kWords[] = {"OK", "NO", "BYE"};
    auto line =
        write_response(kWords[static_cast<int>(response->status)], response->code, response->text);
    auto again = parse_response(std::string_view(line).substr(0, line.size() - 2));
    MUST(again && again->status == response->status && again->text == response->text);
    MUST(again->code == response->code);
}

/// Reads a listing line by line (literals are not split here) and writes it again.
void capabilities(std::string_view stream) {
    Capabilities all;
    while (!stream.empty()) (void)parse_capability(take_until(stream, '\n'), all);
    MUST(all.entries().size() <= 128);
    auto written = write_capabilities(all);
    Capabilities again;
    std::string_view rest = written;
    while (!rest.empty()) {
        // Long values are literals of known size: skip them, compare the others.
        auto line = rest.substr(0, rest.find("\r\n"));
        if (line.ends_with('}')) return;
        MUST(parse_capability(line, again));
        rest.remove_prefix(line.size() + 2);
    }
    MUST(again == all);
    for (const auto& [name, value] : before_login(all, {.tls = true}).entries())
        MUST(name != "STARTTLS" && !equal_folded(name, "XCLIENT"));
}

}  // namespace
}  // namespace muster::wire::sieve

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace muster::wire::sieve;
    auto text = muster::fuzz::text(data, size);
    client(text);
    server(text);
    capabilities(text);
    return 0;
}
